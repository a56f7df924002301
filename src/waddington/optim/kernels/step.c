// One function of tensors, over many of them: what c_source.py writes goes between the marks.

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int omp_get_thread_num(void);
int omp_get_num_threads(void);

enum { CHUNK = 4096, ALONE = 4, SERIAL = 32768 };
/*HEAD*/

#define MAXIMUM(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))
#define MINIMUM(a, b) ((a) < (b) || (a) != (a) ? (a) : (b))

static inline int32_t bits_float_int32_t(float x) { int32_t y; memcpy(&y, &x, 4); return y; }
static inline float bits_int32_t_float(int32_t x) { float y; memcpy(&y, &x, 4); return y; }

static inline float from_bfloat16(uint16_t x) { return bits_int32_t_float((int32_t)((uint32_t)x << 16)); }

static inline uint16_t to_bfloat16(float x) {
  const uint32_t bits = (uint32_t)bits_float_int32_t(x);
  return x != x ? 0x7fc0 : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline int64_t floor_division(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

/*LOOPS*/

typedef void loop_t(void *const *, const work_t *, const int64_t *, const double *, int64_t, int64_t, double *);
static loop_t *const loops[LOOPS] = {/*NAMES*/};
static const int loop_of_sum[] = {/*LOOP_OF_SUM*/};

// The only loop, over as many whole chunks at once as ABREAST says, which lie so many chunks apart.
static void abreast(/*SIGNATURE*/, int64_t begin, int64_t apart, double *partial) {
/*ABREAST*/
}

static void finish(const work_t *row, const double *sums, double *out) {
  /*FINISH*/
}

typedef struct {
  int64_t tensors, chunks;
  const int64_t *lengths;
  void *const *at;        // WIDTH addresses for each tensor
  const work_t *rows;     // a row of numbers for each
  int64_t row_length;
  const int64_t *noise;   // four for each: salt, and where the shard lies in its tensor
  double *partial;        // SUMS for each chunk
} job_t;

static int64_t chunks_of(int64_t length) { return (length + CHUNK - 1) / CHUNK; }

static void run(const job_t *job, int64_t tensor, int64_t base, int64_t chunk, int loop, const double *sums) {
  const int64_t begin = chunk * CHUNK, length = job->lengths[tensor];
  loops[loop](job->at + tensor * WIDTH, job->rows + tensor * job->row_length, job->noise + 4 * tensor, sums, begin,
              begin + CHUNK < length ? begin + CHUNK : length, job->partial + (base + chunk) * SUMS);
}

static void run_abreast(const job_t *job, int64_t tensor, int64_t base, int64_t chunk, int64_t apart) {
  abreast(job->at + tensor * WIDTH, job->rows + tensor * job->row_length, job->noise + 4 * tensor, NULL, chunk * CHUNK,
          apart, job->partial + (base + chunk) * SUMS);
}

// Adds up the sums of one loop over the chunks of a tensor, in their order.
static void add_up(const job_t *job, int64_t base, int64_t chunks, int loop, double *sums) {
  for (int s = 0; s < SUMS; ++s) {
    if (loop_of_sum[s] != loop) continue;
    double total = 0;
    for (int64_t c = base; c < base + chunks; ++c) total += job->partial[c * SUMS + s];
    sums[s] = total;
  }
}

// One loop: every chunk is like every other.
static void share_chunks(const job_t *job, int64_t id, int64_t threads) {
  const int64_t first = job->chunks * id / threads, last = job->chunks * (id + 1) / threads;
  for (int64_t t = 0, base = 0; t < job->tensors && base < last; ++t) {
    const int64_t chunks = chunks_of(job->lengths[t]), whole = job->lengths[t] / CHUNK;
    const int64_t end = base + chunks < last ? chunks : last - base;
    int64_t c = base < first ? first - base : 0;
    if (ABREAST > 1) {
      const int64_t apart = ((whole < end ? whole : end) - c) / ABREAST, stop = c + apart;
      for (; c < stop; ++c) run_abreast(job, t, base, c, apart);
      c += apart * (ABREAST - 1);
    }
    for (; c < end; ++c) run(job, t, base, c, 0, NULL);
    base += chunks;
  }
}

// Several: a large tensor is shared, loop after loop, of which the second begins where the first has ended, with what
// is still in a cache; a small one is one thread's.
static void share_tensors(const job_t *job, int64_t id, int64_t threads) {
  double sums[SUMS];
  for (int64_t t = 0, base = 0; t < job->tensors; ++t) {
    const int64_t chunks = chunks_of(job->lengths[t]);
    const int alone = chunks <= ALONE;
    if (!alone || t % threads == id) {
      const int64_t first = alone ? 0 : chunks * id / threads, last = alone ? chunks : chunks * (id + 1) / threads;
      for (int loop = 0; loop < LOOPS; ++loop) {
        for (int64_t c = first; c < last; ++c) run(job, t, base, loop % 2 ? first + last - 1 - c : c, loop, sums);
        if (loop == LOOPS - 1) break;
        if (!alone) {
          #pragma omp barrier
        }
        add_up(job, base, chunks, loop, sums);
      }
    }
    base += chunks;
  }
}

static void share(const job_t *job, int64_t id, int64_t threads) {
  if (LOOPS == 1) share_chunks(job, id, threads); else share_tensors(job, id, threads);
}

int waddington_step(int64_t tensors, const int64_t *lengths, void *const *at, const work_t *rows, int64_t row_length,
                    const int64_t *noise, double *out, int64_t out_length, int threads) {
  job_t job = {tensors, 0, lengths, at, rows, row_length, noise, NULL};
  int64_t coordinates = 0;
  for (int64_t t = 0; t < tensors; ++t) {
    job.chunks += chunks_of(lengths[t]);
    coordinates += lengths[t];
  }
  job.partial = malloc((size_t)(job.chunks * SUMS + 1) * sizeof(double));
  if (!job.partial) return 1;
  if (threads > 1 && coordinates > SERIAL) {
    #pragma omp parallel num_threads(threads)
    share(&job, omp_get_thread_num(), omp_get_num_threads());
  } else {
    share(&job, 0, 1);
  }
  for (int64_t t = 0, base = 0; t < tensors; ++t) {
    double sums[SUMS];
    for (int loop = 0; loop < LOOPS; ++loop) add_up(&job, base, chunks_of(lengths[t]), loop, sums);
    finish(rows + t * row_length, sums, out + t * out_length);
    base += chunks_of(lengths[t]);
  }
  free(job.partial);
  return 0;
}

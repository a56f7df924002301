(async () => {
  const panels = JSON.parse(document.getElementById("figures").textContent).panels;
  const plots = [...document.querySelectorAll(".plot")];
  const buttons = [...document.querySelectorAll(".arms button[data-arm]")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const hidden = new Set();

  async function unpack(element) {
    const bytes = Uint8Array.from(atob(element.textContent.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  // What the page's colours make of every picture.
  function template() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = {
      gridcolor: color("--grid"), linecolor: color("--line"), zerolinecolor: color("--muted"), zerolinewidth: 1, showline: true,
      tickfont: { size: 11 }, title: { font: { size: 12 } },
    };
    return { layout: {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", xaxis: axis, yaxis: axis,
      font: { color: color("--ink"), family: getComputedStyle(document.body).fontFamily, size: 12 },
      hoverlabel: { bgcolor: color("--card"), bordercolor: color("--line"), font: { color: color("--ink") }, align: "left" },
    } };
  }

  // Bands of many arms hide each other and the lines.
  const hasBands = () => buttons.length - hidden.size <= 5;
  const isShown = (trace) => !hidden.has(trace.meta) && (trace.legendgroup !== "band" || hasBands());
  const config = { responsive: true, displayModeBar: false };
  // A finger scrolls the page; a mouse zooms, and its double click shows all again.
  const dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";

  function draw(plot) {
    if (plot.dataset.drawn) return;
    plot.dataset.drawn = "yes";
    const { data, layout } = panels[plot.id];
    const traces = data.map((trace) => ({ ...trace, visible: isShown(trace) }));
    Plotly.newPlot(plot, traces, { ...layout, dragmode, template: template() }, config);
  }
  const drawn = () => plots.filter((plot) => plot.dataset.drawn);

  try {
    await unpack(document.getElementById("plotly"));
  } catch (error) {
    document.getElementById("no-pictures").hidden = false;
    return;
  }
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { draw(entry.target); watch.unobserve(entry.target); }
  }, { rootMargin: "400px" });
  plots.forEach((plot) => watch.observe(plot));
  addEventListener("beforeprint", () => plots.forEach(draw));
  dark.addEventListener("change", () => drawn().forEach((plot) => Plotly.relayout(plot, { template: template() })));
  function update() {
    for (const button of buttons) button.setAttribute("aria-pressed", String(!hidden.has(button.dataset.arm)));
    for (const plot of drawn()) Plotly.restyle(plot, { visible: plot.data.map(isShown) });
  }
  for (const button of buttons) button.addEventListener("click", () => {
    if (!hidden.delete(button.dataset.arm)) hidden.add(button.dataset.arm);
    update();
  });
  document.getElementById("all-arms").addEventListener("click", () => {
    if (hidden.size) hidden.clear();
    else buttons.forEach((button) => hidden.add(button.dataset.arm));
    update();
  });
})();

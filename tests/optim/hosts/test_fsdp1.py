"""FullyShardedDataParallel hides how it shards, so that statistics would be wrong without a sign: it is refused."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from torch.distributed.fsdp import FullyShardedDataParallel

from optim.hosts.hosted import Hosted, assert_equal, each_hosted, loss_of, net, weights
from waddington.errors import UnsupportedError

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:torch.*", "ignore::UserWarning:torch.*")


@pytest.fixture(scope="module")
def _alone():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("_alone")
@each_hosted
def test_its_parameters_are_refused_with_what_to_use_instead(hosted: Hosted):
    model = FullyShardedDataParallel(net(), use_orig_params=True, device_id=torch.device("cpu"))
    optimizer = hosted.build(model.parameters())
    before = weights(model)
    loss_of(model, 0).backward()
    with pytest.raises(UnsupportedError, match=r"FullyShardedDataParallel.*fully_shard \(FSDP2\)"):
        optimizer.step()
    assert_equal(before, weights(model))

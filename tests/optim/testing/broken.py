"""An optimizer that keeps the whole contract, and others that each break it in one way."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch


class Momentum(torch.optim.Optimizer):
    """Heavy-ball momentum in float32 state; everything below breaks one thing of it."""

    def __init__(self, params, lr=0.02, *, momentum=0.9, weight_decay=0.0, maximize=False):
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "maximize": maximize}
        for name in ("lr", "weight_decay"):
            if not float(defaults[name]) >= 0:
                raise ValueError(f"cannot use {name}={defaults[name]}: it must be at least 0")
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None):
        loss = self.evaluate(closure)
        pairs = [(group, param) for group in self.param_groups for param in group["params"] if self.concerns(param)]
        for _, param in pairs:
            self.inspect(param.grad)
        if self.finite([param.grad for _, param in pairs]):
            for group, param in pairs:
                self.update(group, param)
        return loss

    def evaluate(self, closure):
        if closure is None:
            return None
        with torch.enable_grad():
            return closure()

    def concerns(self, param):
        return param.grad is not None

    def inspect(self, grad):
        if grad.is_sparse:
            raise RuntimeError("cannot step on a sparse gradient: use dense ones")

    def finite(self, grads):
        return all(bool(torch.isfinite(grad).all()) for grad in grads)

    def gradient(self, group, param):
        wide = torch.promote_types(param.dtype, torch.float32)
        grad = param.grad.to(wide)
        grad = -grad if group["maximize"] else grad
        return grad + group["weight_decay"] * param.to(wide)

    def update(self, group, param):
        grad = self.gradient(group, param)
        state = self.state[param]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(grad)
        buffer = state["momentum_buffer"].mul_(group["momentum"]).add_(grad)
        self.move(param, float(self.rate(group)) * buffer)

    def rate(self, group):
        return group["lr"]

    def move(self, param, change):
        param.copy_(param.to(change.dtype) - change)

    def load_state_dict(self, state_dict):
        state_dict = copy.deepcopy(state_dict)
        captured: list[dict[str, Any]] = []
        handle = self.register_load_state_dict_pre_hook(lambda _, state: captured.append(state))
        super().load_state_dict(state_dict)
        handle.remove()
        self.restore(captured[-1])

    def restore(self, loaded):
        for group, saved in zip(self.param_groups, loaded["param_groups"], strict=True):
            for key, param in zip(saved["params"], group["params"], strict=True):
                if key in loaded["state"]:
                    self.state[param] = dict(loaded["state"][key])


class Aliasing(Momentum):
    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            for key, param in zip(saved["params"], group["params"], strict=True):
                if key in state_dict["state"]:
                    self.state[param] = dict(state_dict["state"][key])


class Casting(Momentum):
    def restore(self, loaded):
        pass


class Forgetful(Momentum):
    def restore(self, loaded):
        self.state.clear()


class Swallowing(Momentum):
    def __init__(self, params, lr=0.02, *, momentum=0.9, weight_decay=0.0, maximize=False, **kwargs):
        super().__init__(params, lr, momentum=momentum, weight_decay=weight_decay, maximize=maximize)


class Unchecked(Momentum):
    def __init__(self, params, lr=0.02, *, momentum=0.9, weight_decay=0.0, maximize=False):
        super().__init__(params, 0.0, momentum=momentum, weight_decay=weight_decay, maximize=maximize)
        self.defaults["lr"] = lr
        for group in self.param_groups:
            group["lr"] = group["lr"] or lr  # given with the group, or the default


class RefusingByKeyError(Momentum):
    def __init__(self, params, lr=0.02, *, weight_decay=0.0, maximize=False):
        if weight_decay < 0:
            raise KeyError(f"weight_decay={weight_decay}")
        super().__init__(params, lr, weight_decay=weight_decay, maximize=maximize)


class Twice(Momentum):
    def evaluate(self, closure):
        super().evaluate(closure)
        return super().evaluate(closure)


class WithoutGradients(Momentum):
    def evaluate(self, closure):
        return None if closure is None else closure()


class Silent(Momentum):
    def evaluate(self, closure):
        super().evaluate(closure)


class Hoarding(Momentum):
    def evaluate(self, closure):
        self.last_loss = super().evaluate(closure)
        return self.last_loss


class Poisoned(Momentum):
    def finite(self, grads):
        return True


class Decaying(Momentum):
    """Weight decay written into the gradient."""

    def gradient(self, group, param):
        if group["weight_decay"]:
            param.grad.add_(param, alpha=group["weight_decay"])
        return super().gradient({**group, "weight_decay": 0.0}, param)


class Clearing(Momentum):
    def update(self, group, param):
        super().update(group, param)
        param.grad = None


class GradientKeeping(Momentum):
    def update(self, group, param):
        super().update(group, param)
        self.state[param]["previous"] = param.grad


class Growing(Momentum):
    def update(self, group, param):
        super().update(group, param)
        self.state[param].setdefault("history", []).append(param.detach().clone())


class Moving(Momentum):
    def move(self, param, change):
        param.data = (param.to(change.dtype) - change).to(param.dtype)


class Flattening(Momentum):
    def move(self, param, change):
        param.view(-1).copy_(param.view(-1).to(change.dtype) - change.view(-1))


class Unscheduled(Momentum):
    def rate(self, group):
        return self.defaults["lr"]


class Reckless(Momentum):
    """Trains parameters that have no gradient."""

    def concerns(self, param):
        if param.grad is None:
            param.mul_(0.99)
        return super().concerns(param)


class Curt(Momentum):
    def inspect(self, grad):
        if grad.is_sparse:
            raise RuntimeError("sparse gradients are not supported")


class Mumbling(Momentum):
    def inspect(self, grad):
        if grad.is_sparse:
            raise RuntimeError("use another layout")


class Late(Momentum):
    """Refuses a sparse gradient after it has moved the parameter."""

    def inspect(self, grad):
        pass

    def finite(self, grads):
        return any(grad.is_sparse for grad in grads) or super().finite(grads)

    def update(self, group, param):
        if param.grad.is_sparse:
            param.mul_(0.9)
            raise RuntimeError("cannot step on a sparse gradient: use dense ones")
        super().update(group, param)


class Counting(Momentum):
    """Warms up by a count that a probing step moves too."""

    def rate(self, group):
        group["count"] = group.get("count", 0) + 1
        return group["lr"] * min(1.0, group["count"] / 64)


class Unpicklable(Momentum):
    def __init__(self, params, lr=0.02, *, momentum=0.9, weight_decay=0.0, maximize=False):
        super().__init__(params, lr, momentum=momentum, weight_decay=weight_decay, maximize=maximize)
        self.shape = lambda value: value

    def __getstate__(self):
        return self.__dict__


class Minimizing(Momentum):
    def gradient(self, group, param):
        return super().gradient({**group, "maximize": False}, param)


class Diverging(Momentum):
    def __init__(self, params, lr=0.02, *, momentum=0.9, weight_decay=0.0, maximize=False, foreach=False):
        super().__init__(params, lr, momentum=momentum, weight_decay=weight_decay, maximize=maximize)
        for settings in (self.defaults, *self.param_groups):
            settings["foreach"] = foreach

    def rate(self, group):
        return group["lr"] * (1.01 if group["foreach"] else 1.0)


class Nameless(Momentum):
    def __init__(self, params, lr=0.02, *, momentum=0.9, weight_decay=0.0, maximize=False):
        params = [param[1] if isinstance(param, tuple) else param for param in params]
        super().__init__(params, lr, momentum=momentum, weight_decay=weight_decay, maximize=maximize)


class Real(Momentum):
    """Normalizes by the modulus, which the pair of reals does not have."""

    def gradient(self, group, param):
        grad = super().gradient(group, param)
        return grad / (1 + grad.abs())


class Drawing(Momentum):
    draws: ClassVar[int] = 0

    def rate(self, group):
        Drawing.draws += 1
        return group["lr"] * (1 + 1e-6 * (Drawing.draws % 7))


class Ascending(Momentum):
    def rate(self, group):
        return -group["lr"]


class Hookless(Momentum):
    def state_dict(self):
        hooks, self._optimizer_state_dict_post_hooks = self._optimizer_state_dict_post_hooks, {}
        try:
            return super().state_dict()
        finally:
            self._optimizer_state_dict_post_hooks = hooks


class Listing(Momentum):
    """Keeps its own list of parameters, which neither groups nor copies know of."""

    def __init__(self, params, lr=0.02, *, momentum=0.9, weight_decay=0.0, maximize=False):
        super().__init__(params, lr, momentum=momentum, weight_decay=weight_decay, maximize=maximize)
        self.first = [param for group in self.param_groups for param in group["params"]]

    def concerns(self, param):
        return param.grad is not None and any(param is known for known in self.first)


class Recompiling(Momentum):
    """Spells the rate out, so that every new one is new code."""

    def rate(self, group):
        return float(str(group["lr"]))

    def finite(self, grads):
        return True


class Local(Momentum):
    """Normalizes by a statistic of the shard instead of the tensor."""

    def gradient(self, group, param):
        grad = super().gradient(group, param)
        local = grad.to_local() if hasattr(grad, "to_local") else grad
        return grad / (1.0 + float(local.norm()))


class Whole(Momentum):
    """Refuses sharded parameters, as it may."""

    def inspect(self, grad):
        super().inspect(grad)
        if hasattr(grad, "to_local"):
            raise RuntimeError("cannot step on a sharded parameter: use SGD")

"""Optimizers as people write them: wrapped, nested, and without the classes of torch."""

from __future__ import annotations

import torch


class Sam(torch.optim.Optimizer):
    """Sharpness-aware minimization as it is passed from hand to hand (Foret et al. 2021)."""

    def __init__(self, params, base_optimizer, rho=0.05, **kwargs):
        super().__init__(params, dict(rho=rho, **kwargs))
        self.base_optimizer = base_optimizer(self.param_groups, **kwargs)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()
    def first_step(self, zero_grad=False):
        grads = [p.grad.norm() for group in self.param_groups for p in group["params"] if p.grad is not None]
        scale = self.param_groups[0]["rho"] / (torch.stack(grads).norm() + 1e-12)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.state[p]["old_p"] = p.data.clone()
                    p.add_(p.grad * scale)
        if zero_grad:
            self.zero_grad()

    @torch.no_grad()
    def second_step(self, zero_grad=False):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.data = self.state[p]["old_p"]
        self.base_optimizer.step()
        if zero_grad:
            self.zero_grad()

    @torch.no_grad()
    def step(self, closure=None):
        closure = torch.enable_grad()(closure)
        self.first_step(zero_grad=True)
        closure()
        self.second_step()


class Lookahead(torch.optim.Optimizer):
    """Zhang et al. 2019, as in the copies of it that do not call ``Optimizer.__init__``."""

    def __init__(self, optimizer, k=2, alpha=0.5):
        self.optimizer, self.k, self.alpha, self.n = optimizer, k, alpha, 0
        self.param_groups = optimizer.param_groups
        self.slow = [[p.detach().clone() for p in group["params"]] for group in self.param_groups]

    def step(self, closure=None):
        loss = self.optimizer.step(closure)
        self.n += 1
        if self.n % self.k == 0:
            with torch.no_grad():
                for group, slow in zip(self.param_groups, self.slow, strict=True):
                    for p, q in zip(group["params"], slow, strict=True):
                        q.add_(p - q, alpha=self.alpha)
                        p.copy_(q)
        return loss

    def zero_grad(self):
        self.optimizer.zero_grad()


class Verbose(torch.optim.SGD):
    """Calls the ``step`` it overrides: both call the hooks."""

    def step(self, closure=None):
        return super().step(closure)


class Plain:
    """No torch optimizer at all."""

    def __init__(self, params):
        self.params = list(params)
        self.param_groups = [{"params": self.params, "lr": 0.1}]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self, closure=None):
        with torch.no_grad():
            for p in self.params:
                p.sub_(0.1 * p.grad)


class Both:
    """A wrapper around two, stepped together."""

    def __init__(self, params):
        matrices, vectors = ([p for p in params if (p.dim() > 1) == wide] for wide in (True, False))
        self.optimizers = [torch.optim.SGD(matrices, lr=0.1), torch.optim.Adam(vectors, lr=0.01)]

    @property
    def param_groups(self):
        return [group for one in self.optimizers for group in one.param_groups]

    def zero_grad(self):
        for one in self.optimizers:
            one.zero_grad()

    def step(self):
        for one in self.optimizers:
            one.step()

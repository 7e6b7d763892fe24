"""A traced graph of a model, shared by the fast strategies and the fast Hessians."""

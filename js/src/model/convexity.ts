// The layers that are computed from the Hessian.

import type { Range } from "./wire.ts";

/** Their names on screen. */
export const HESSIAN_LAYERS: Record<string, string> = {
  lambda_min: "Smallest eigenvalue",
  lambda_max: "Largest eigenvalue",
  convexity: "Convexity |λmin/λmax|",
  hvps: "Hessian-vector products",
  residual_min: "Residual of the smallest",
  residual_max: "Residual of the largest",
};

/** Short names. The layers without one appear at a point only if they are the quantity that is drawn. */
export const SYMBOLS: Record<string, string> = { lambda_min: "λmin", lambda_max: "λmax", convexity: "|λmin/λmax|" };

/** Color range of the convexity maps of Li et al. (2018), figure 7. */
export const CONVEXITY_LIMITS: Range = [0, 0.5];

export const isHessianLayer = (quantity: string): boolean => quantity in HESSIAN_LAYERS;

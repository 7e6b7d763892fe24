// What is known of the layers that tell of the Hessian.

import type { Range } from "./wire.ts";

/** Their names on screen. */
export const CURVATURES: Record<string, string> = {
  lambda_min: "Smallest eigenvalue",
  lambda_max: "Largest eigenvalue",
  convexity: "Convexity |λmin/λmax|",
  hvps: "Hessian-vector products",
  residual_min: "Residual of the smallest",
  residual_max: "Residual of the largest",
};

/** What they are called where there is little room; the others are told only where they are what is drawn. */
export const SYMBOLS: Record<string, string> = { lambda_min: "λmin", lambda_max: "λmax", convexity: "|λmin/λmax|" };

/** The scale of the paper's maps of convexity (figure 7). */
export const CONVEXITY_LIMITS: Range = [0, 0.5];

export const isCurvature = (quantity: string): boolean => quantity in CURVATURES;

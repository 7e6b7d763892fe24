// Names of layers, and which layers belong together. "train_loss_stderr" is the standard error of the loss of the
// loader "train".

import type { Snapshot } from "./wire.ts";

export interface LayerName {
  /** Empty if there is a single loader. */
  loader: string;
  base: string;
  isError: boolean;
}

export function parseLayerName(quantity: string): LayerName {
  const [, loader = "", base = quantity, error = ""] = /^(?:(.+)_)?(loss|accuracy)(_stderr)?$/.exec(quantity) ?? [];
  return { loader, base, isError: error !== "" };
}

/** Return the same quantity of all loaders, such as "train_loss" and "test_loss", in the order of the layers. */
export function siblings({ layers }: Pick<Snapshot, "layers">, quantity: string): string[] {
  const { base, isError } = parseLayerName(quantity);
  if (isError) return [quantity];
  const found = [...layers.keys()].filter(
    (name) => parseLayerName(name).base === base && !parseLayerName(name).isError,
  );
  return found.length ? found : [quantity];
}

/** Return another quantity of the same loader; null if it was not measured. */
export function counterpart({ layers }: Pick<Snapshot, "layers">, quantity: string, base: string): string | null {
  const { loader } = parseLayerName(quantity);
  const name = loader ? `${loader}_${base}` : base;
  return layers.has(name) ? name : null;
}

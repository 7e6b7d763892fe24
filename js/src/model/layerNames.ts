// Names of layers: "train_loss_stderr" is the standard error of the loss on the data "train". Layers that belong together.

import type { Snapshot } from "./wire.ts";

export interface Name {
  /** Which data, empty where there is one loader. */
  loader: string;
  base: string;
  isError: boolean;
}

export function partsOf(quantity: string): Name {
  const found = /^(?:(.+)_)?(loss|accuracy)(_stderr)?$/.exec(quantity);
  return found
    ? { loader: found[1] ?? "", base: found[2], isError: found[3] !== undefined }
    : { loader: "", base: quantity, isError: false };
}

/** The same quantity on all data: "train_loss" and "test_loss", in the order of the layers. */
export function siblings({ layers }: Pick<Snapshot, "layers">, quantity: string): string[] {
  const { base, isError } = partsOf(quantity);
  if (isError) return [quantity];
  const found = [...layers.keys()].filter((name) => partsOf(name).base === base && !partsOf(name).isError);
  return found.length ? found : [quantity];
}

/** Another quantity on the same data, where that was measured. */
export function counterpart({ layers }: Pick<Snapshot, "layers">, quantity: string, base: string): string | null {
  const { loader } = partsOf(quantity);
  const name = loader ? `${loader}_${base}` : base;
  return layers.has(name) ? name : null;
}

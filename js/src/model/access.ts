// Reading items that must exist, where the type checker cannot know it.

/** Return the item at an index, which must exist. */
export function at<T>(items: ArrayLike<T>, index: number): T {
  const item = items[index];
  if (item === undefined) throw new RangeError(`expected an index below ${items.length}, got ${index}`);
  return item;
}

/** Return the value at an index; NaN outside, as for a hole. For loops over whole grids, where `at` is too slow. */
export const valueAt = (values: Float32Array, index: number): number => values[index] ?? NaN;

/** Return the layer with this name, which must exist. */
export function layerOf(layers: ReadonlyMap<string, Float32Array>, name: string): Float32Array {
  const layer = layers.get(name);
  if (!layer) throw new RangeError(`expected one of the layers ${[...layers.keys()].join(", ")}, got ${name}`);
  return layer;
}

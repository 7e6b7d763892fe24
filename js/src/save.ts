// Hands a picture over as a file.

/** A name a file may have, from the title of the picture. */
export const fileName = (title: string, plot: string, ending: string): string =>
  `${title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").toLowerCase() || "landscape"}-${plot}.${ending}`;

function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function savePNG(canvas: HTMLCanvasElement, name: string): void {
  canvas.toBlob((blob) => blob && download(blob, name), "image/png");
}

export const saveSVG = (text: string, name: string): void => download(new Blob([text], { type: "image/svg+xml" }), name);

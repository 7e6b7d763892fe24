// Hands a picture over as a file.

/** A name a file may have, from the title of the picture. */
export const fileName = (title: string, plot: string, ending: string): string =>
  `${
    title
      .replace(/[^\p{L}\p{N}]+/gu, "-")
      .replace(/^-|-$/g, "")
      .toLowerCase() || "landscape"
  }-${plot}.${ending}`;

function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function savePNG(canvas: HTMLCanvasElement, name: string): void {
  canvas.toBlob((blob) => blob && download(blob, name), "image/png");
}

const saveSVG = (text: string, name: string): void => download(new Blob([text], { type: "image/svg+xml" }), name);

/** What has a picture to save. */
interface Pictured {
  picture(): HTMLCanvasElement | null;
  svg(): string | null;
}

export function savePicture(from: Pictured, kind: "png" | "svg", title: string, plot = "landscape"): void {
  const name = fileName(title, plot, kind);
  const picture = kind === "png" ? from.picture() : null;
  if (picture) savePNG(picture, name);
  const text = kind === "svg" ? from.svg() : null;
  if (text) saveSVG(text, name);
}

// Perceptually uniform colormaps, as tables of 256 colors.

import { at } from "./access.ts";
import type { ColormapName } from "./controls.ts";

// Viridis and magma by N. Smith, S. van der Walt and E. Firing (CC0), cividis by J. Nunez, C. Anderton and R.
// Renslow: 256 colors of six hexadecimal digits. Strings, because the palette library is ten times as large; a test
// compares the two.

const VIRIDIS =
  "44015444025645045745055946075a46085c460a5d460b5e470d60470e6147106347116447136548146748166848176948186a481a6c" +
  "481b6d481c6e481d6f481f70482071482173482374482475482576482677482878482979472a7a472c7a472d7b472e7c472f7d46307e" +
  "46327e46337f463480453581453781453882443983443a83443b84433d84433e85423f85424086424186414287414487404588404688" +
  "3f47883f48893e49893e4a893e4c8a3d4d8a3d4e8a3c4f8a3c508b3b518b3b528b3a538b3a548c39558c39568c38588c38598c375a8c" +
  "375b8d365c8d365d8d355e8d355f8d34608d34618d33628d33638d32648e32658e31668e31678e31688e30698e306a8e2f6b8e2f6c8e" +
  "2e6d8e2e6e8e2e6f8e2d708e2d718e2c718e2c728e2c738e2b748e2b758e2a768e2a778e2a788e29798e297a8e297b8e287c8e287d8e" +
  "277e8e277f8e27808e26818e26828e26828e25838e25848e25858e24868e24878e23888e23898e238a8d228b8d228c8d228d8d218e8d" +
  "218f8d21908d21918c20928c20928c20938c1f948c1f958b1f968b1f978b1f988b1f998a1f9a8a1e9b8a1e9c891e9d891f9e891f9f88" +
  "1fa0881fa1881fa1871fa28720a38620a48621a58521a68522a78522a88423a98324aa8325ab8225ac8226ad8127ad8128ae8029af7f" +
  "2ab07f2cb17e2db27d2eb37c2fb47c31b57b32b67a34b67935b77937b87838b9773aba763bbb753dbc743fbc7340bd7242be7144bf70" +
  "46c06f48c16e4ac16d4cc26c4ec36b50c46a52c56954c56856c66758c7655ac8645cc8635ec96260ca6063cb5f65cb5e67cc5c69cd5b" +
  "6ccd5a6ece5870cf5773d05675d05477d1537ad1517cd2507fd34e81d34d84d44b86d54989d5488bd6468ed64590d74393d74195d840" +
  "98d83e9bd93c9dd93ba0da39a2da37a5db36a8db34aadc32addc30b0dd2fb2dd2db5de2bb8de29bade28bddf26c0df25c2df23c5e021" +
  "c8e020cae11fcde11dd0e11cd2e21bd5e21ad8e219dae319dde318dfe318e2e418e5e419e7e419eae51aece51befe51cf1e51df4e61e" +
  "f6e620f8e621fbe723fde725";

const CIVIDIS =
  "00205100215300225500235600235800245900255a00255c00265d00275e00275f002860002961002962002a63002b64012b65022c65" +
  "032d66042d67052e67052f6806306907306908316a09326a0b326a0c336b0d346b0e346b0f356c10366c12376c13376d14386d15396d" +
  "17396d183a6d193b6d1a3b6d1c3c6e1d3d6e1e3e6e203e6e213f6e23406e24406e25416e27426e28436e29436e2b446e2c456e2e456e" +
  "2f466e30476e32486e33486e34496e364a6e374a6e394b6e3a4c6e3b4d6e3d4d6e3e4e6e3f4f6e414f6e42506e43516d44526d46526d" +
  "47536d48546d4a546d4b556d4c566d4d576d4e576e50586e51596e52596e535a6e545b6e565c6e575c6e585d6e595e6e5a5e6e5b5f6e" +
  "5c606e5d616e5e616e60626e61636f62646f63646f64656f65666f66666f67676f6868706969706a69706b6a706c6b706d6c706d6c71" +
  "6e6d716f6e71706f71716f717270717371727471727572727673727674727774737875737976737a77737b77747b78747c79747d7a74" +
  "7e7a747f7b75807c75807d75817d75827e75837f768480768580768581768682768783768884778984778985778a86778b87778c8777" +
  "8d88778e89788e8a788f8a78908b78918c78928d78938e78938e78948f789590789691789792789892789993789a94789b95789b9678" +
  "9c96789d97789e98789f9978a09a78a19a78a29b78a39c78a49d78a59e77a69e77a79f77a8a077a9a177aaa276aba376aca376ada476" +
  "aea575afa675b0a775b2a874b3a874b4a974b5aa73b6ab73b7ac72b8ad72baae72bbae71bcaf71bdb070beb170bfb26fc1b36fc2b46e" +
  "c3b56dc4b56dc5b66cc7b76cc8b86bc9b96acaba6accbb69cdbc68cebc68cfbd67d1be66d2bf66d3c065d4c164d6c263d7c363d8c462" +
  "d9c561dbc660dcc660ddc75fdec85ee0c95de1ca5ce2cb5ce3cc5be4cd5ae6ce59e7cf58e8d058e9d157ead256ebd355ecd454edd453" +
  "eed553f0d652f1d751f1d850f2d950f3da4ff4db4ef5dc4df6dd4df7de4cf8df4bf8e04bf9e14afae249fae349fbe448fbe548fce647" +
  "fce746fde846fde946fdea45";

const MAGMA =
  "00000401000501010601010802010902020b02020d03030f03031204041405041606051806051a07061c08071e0907200a08220b0924" +
  "0c09260d0a290e0b2b100b2d110c2f120d31130d34140e36150e38160f3b180f3d19103f1a10421c10441d11471e114920114b21114e" +
  "22115024125325125527125829115a2a115c2c115f2d11612f116331116533106734106936106b38106c390f6e3b0f703d0f713f0f72" +
  "400f74420f75440f764510774710784910784a10794c117a4e117b4f127b51127c52137c54137d56147d57157e59157e5a167e5c167f" +
  "5d177f5f187f601880621980641a80651a80671b80681c816a1c816b1d816d1d816e1e81701f81721f81732081752181762181782281" +
  "7922827b23827c23827e24828025828125818326818426818627818827818928818b29818c29818e2a81902a81912b81932b80942c80" +
  "962c80982d80992d809b2e7f9c2e7f9e2f7fa02f7fa1307ea3307ea5317ea6317da8327daa337dab337cad347cae347bb0357bb2357b" +
  "b3367ab5367ab73779b83779ba3878bc3978bd3977bf3a77c03a76c23b75c43c75c53c74c73d73c83e73ca3e72cc3f71cd4071cf4070" +
  "d0416fd2426fd3436ed5446dd6456cd8456cd9466bdb476adc4869de4968df4a68e04c67e24d66e34e65e44f64e55064e75263e85362" +
  "e95462ea5661eb5760ec5860ed5a5fee5b5eef5d5ef05f5ef1605df2625df2645cf3655cf4675cf4695cf56b5cf66c5cf66e5cf7705c" +
  "f7725cf8745cf8765cf9785df9795df97b5dfa7d5efa7f5efa815ffb835ffb8560fb8761fc8961fc8a62fc8c63fc8e64fc9065fd9266" +
  "fd9467fd9668fd9869fd9a6afd9b6bfe9d6cfe9f6dfea16efea36ffea571fea772fea973feaa74feac76feae77feb078feb27afeb47b" +
  "feb67cfeb77efeb97ffebb81febd82febf84fec185fec287fec488fec68afec88cfeca8dfecc8ffecd90fecf92fed194fed395fed597" +
  "fed799fed89afdda9cfddc9efddea0fde0a1fde2a3fde3a5fde5a7fde7a9fde9aafdebacfcecaefceeb0fcf0b2fcf2b4fcf4b6fcf6b8" +
  "fcf7b9fcf9bbfcfbbdfcfdbf";

export const TABLE_SIZE = 256;

export const COLORMAPS: [ColormapName, string][] = [
  ["viridis", "Viridis"],
  ["cividis", "Cividis"],
  ["magma", "Magma"],
  ["gray", "Gray"],
];

/** sRGB brightness looks close to uniform. The ends are neither black nor white, so that lines stay visible on both. */
const gray = (i: number): number => Math.round(24 + (i / (TABLE_SIZE - 1)) * 222) * 0x010101;

const read =
  (colors: string) =>
  (i: number): number =>
    Number.parseInt(colors.slice(i * 6, i * 6 + 6), 16);

const COLORS: Record<ColormapName, (i: number) => number> = {
  viridis: read(VIRIDIS),
  cividis: read(CIVIDIS),
  magma: read(MAGMA),
  gray,
};
const tables = new Map<ColormapName, Uint8Array>();

/** Return RGBA bytes, 256 x 4, the same array for the same name; viridis for unknown names. */
export function colorTable(name: ColormapName = "viridis"): Uint8Array {
  const known = tables.get(name);
  if (known) return known;
  const table = new Uint8Array(TABLE_SIZE * 4);
  const color = COLORS[name] ?? COLORS.viridis;
  for (let i = 0; i < TABLE_SIZE; i++) table.set([color(i) >> 16, (color(i) >> 8) & 255, color(i) & 255, 255], i * 4);
  tables.set(name, table);
  return table;
}

/** Return the offset of the color at t, clamped to 0..1. */
export const tableIndex = (t: number): number =>
  Math.max(0, Math.min(TABLE_SIZE - 1, Math.round(t * (TABLE_SIZE - 1)))) * 4;

export function cssColor(table: Uint8Array, t: number): string {
  const i = tableIndex(t);
  return `rgb(${table[i]},${table[i + 1]},${table[i + 2]})`;
}

/** Return black or white, whichever is easier to read on the color at t. */
export function inkOn(table: Uint8Array, t: number): string {
  const i = tableIndex(t);
  return 0.2126 * at(table, i) + 0.7152 * at(table, i + 1) + 0.0722 * at(table, i + 2) > 125 ? "#10121a" : "#ffffff";
}

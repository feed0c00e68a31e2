// Makes the benchmark's pictures, the same bytes each time from the same sources.
//   node corpus.mjs --out DIR --from FOLDER [--from FOLDER…]
// Writes DIR/{1mp,3mp,product}/NN.jpg, camera-like JPEG (4:2:0, quality 85 to 92, and the
// standard Huffman tables in all but half of the product shots):
//   1mp      1224×816 with EXIF
//   3mp      2048×1365 with EXIF
//   product  1500×1500, a subject cut out on white, without EXIF
// Scaling up would blur, and blurred pictures compress too well, so a source smaller than
// the wanted size is filled up with its neighbours, side by side at their own size.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';

const { values: options } = parseArgs({ options: { out: { type: 'string' }, from: { type: 'string', multiple: true, default: [] } } });
if (!options.out || options.from.length === 0) {
  console.error('corpus: --out and --from are needed');
  process.exit(2);
}
sharp.concurrency(1);

const PHOTO = /\.(png|jpe?g|webp|tiff?)$/i;
const SIZES = { '1mp': [1224, 816], '3mp': [2048, 1365] };
const SIDE = 1500;

/** Upright, opaque pictures of at least 300,000 pixels, landscape side first. */
async function readSources(folders) {
  const files = folders.flatMap((folder) => readdirSync(folder).filter((name) => PHOTO.test(name)).sort().map((name) => path.join(folder, name)));
  const sources = [];
  for (const file of files) {
    const { autoOrient: { width, height }, hasAlpha } = await sharp(file).metadata();
    // Squares are taken for cut-outs: white margins have other statistics than photos.
    if (hasAlpha || width * height < 300_000 || width === height) continue;
    sources.push(await sharp(file).autoOrient().rotate(width < height ? 90 : 0).removeAlpha().png({ compressionLevel: 1 }).toBuffer());
  }
  if (sources.length === 0) throw new Error(`no photo of 300,000 pixels or more in ${folders.join(', ')}`);
  return sources;
}

/** A picture of exactly that size: scaled down, or tiled out of `sources` from `first` on. */
async function fill(sources, first, width, height) {
  const own = await sharp(sources[first]).metadata();
  if (own.width >= width && own.height >= height) {
    return sharp(sources[first]).resize(width, height, { fit: 'cover' }).png({ compressionLevel: 1 }).toBuffer();
  }
  const tiles = [];
  let next = first;
  for (let top = 0; top < height;) {
    let rowHeight = 0;
    for (let left = 0; left < width;) {
      const tile = sharp(sources[next++ % sources.length]);
      const size = await tile.metadata();
      rowHeight ||= Math.min(size.height, height - top);
      if (size.height < rowHeight) continue; // it would leave a gap below; the row's first comes round again
      const w = Math.min(size.width, width - left);
      tiles.push({ input: await tile.extract({ left: 0, top: 0, width: w, height: rowHeight }).png({ compressionLevel: 1 }).toBuffer(), left, top });
      left += w;
    }
    top += rowHeight;
  }
  return sharp({ create: { width, height, channels: 3, background: '#888' } }).composite(tiles).png({ compressionLevel: 1 }).toBuffer();
}

async function photo(sources, index, [width, height]) {
  return sharp(await fill(sources, index, width, height)).withExif({
    IFD0: { Make: 'Bench', Model: `Camera ${index % 5}`, DateTime: '2026:01:02 03:04:05' },
    IFD2: { ExposureTime: '1/125', FNumber: '28/10', DateTimeOriginal: '2026:01:02 03:04:05' },
  }).jpeg({ quality: 85 + (index * 3) % 8, chromaSubsampling: '4:2:0', optimiseCoding: false }).toBuffer();
}

/** Ellipses and rounded rectangles of 45 to 75 % of the side, in turn. */
async function product(sources, index) {
  const width = Math.round(SIDE * (0.45 + 0.06 * (index % 6))), height = Math.round(SIDE * (0.75 - 0.05 * (index % 7)));
  const shape = index % 2 === 0
    ? `<ellipse cx="${width / 2}" cy="${height / 2}" rx="${width / 2}" ry="${height / 2}"/>`
    : `<rect width="${width}" height="${height}" rx="${width / 8}"/>`;
  const subject = await sharp(await fill(sources, index, width, height)).ensureAlpha()
    .composite([{ input: Buffer.from(`<svg width="${width}" height="${height}">${shape}</svg>`), blend: 'dest-in' }]).png().toBuffer();
  return sharp({ create: { width: SIDE, height: SIDE, channels: 3, background: '#fff' } }).composite([{ input: subject, gravity: 'centre' }])
    .jpeg({ quality: 85 + (index * 5) % 8, chromaSubsampling: '4:2:0', optimiseCoding: index % 2 === 0 }).toBuffer();
}

const sources = await readSources(options.from);
for (const set of [...Object.keys(SIZES), 'product']) {
  mkdirSync(path.join(options.out, set), { recursive: true });
  for (let index = 0; index < sources.length; index++) {
    const bytes = set === 'product' ? await product(sources, index) : await photo(sources, index, SIZES[set]);
    writeFileSync(path.join(options.out, set, `${String(index + 1).padStart(2, '0')}.jpg`), bytes);
  }
}
console.log(`corpus: ${sources.length} pictures in each of 1mp, 3mp and product, in ${options.out}`);

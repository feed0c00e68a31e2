// sharp's side of `bench/run codec`, with the pictures both sides are measured on.
//   node codec.mjs derive CORPUS OUT           more sets from 1mp and 3mp: 12mp, 444, png
//   node codec.mjs time IN OUT ROUNDS FORMAT QUALITY [MAX_WIDTH]   CPU ms an image of each round, as JSON
//   node codec.mjs decode IN OUT               PNGs for the scorer
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';

sharp.concurrency(1);
sharp.cache(false);
const [command, from, to, ...rest] = process.argv.slice(2);
const pictures = (folder) => readdirSync(folder).filter((name) => !name.startsWith('.')).sort().map((name) => [path.parse(name).name, readFileSync(path.join(folder, name))]);

function writer(set) {
  mkdirSync(path.join(to, set), { recursive: true });
  return (name, bytes) => writeFileSync(path.join(to, set, name), bytes);
}

async function derive() {
  const save = { '12mp': writer('12mp'), 444: writer('444'), png: writer('png') };
  const large = pictures(path.join(from, '3mp'));
  const { width, height } = await sharp(large[0][1]).metadata();
  for (const [index, [name]] of large.entries()) {
    const tiles = await Promise.all([0, 1, 2, 3].map(async (tile) => ({
      input: await sharp(large[(index + tile) % large.length][1]).resize(width, height, { fit: 'cover' }).png({ compressionLevel: 1 }).toBuffer(),
      left: (tile % 2) * width, top: (tile >> 1) * height,
    })));
    const canvas = sharp({ create: { width: 2 * width, height: 2 * height, channels: 3, background: '#888' } }).composite(tiles);
    save['12mp'](`${name}.jpg`, await canvas.jpeg({ quality: 88, optimiseCoding: false }).toBuffer());
  }
  for (const [name, bytes] of pictures(path.join(from, '1mp'))) {
    save[444](`${name}.jpg`, await sharp(bytes).jpeg({ quality: 88, chromaSubsampling: '4:4:4', optimiseCoding: false }).toBuffer());
    save.png(`${name}.png`, await sharp(bytes).png().toBuffer());
  }
}

async function time([rounds, format, quality, maxWidth]) {
  const sources = pictures(from);
  const encode = (bytes) => {
    let image = sharp(bytes);
    if (maxWidth) image = image.resize(Number(maxWidth), null, { withoutEnlargement: true });
    return image.toFormat(format, { quality: Number(quality) }).toBuffer();
  };
  for (const [name, bytes] of sources) writeFileSync(path.join(to, `${name}.${format === 'jpeg' ? 'jpg' : format}`), await encode(bytes));
  const milliseconds = [];
  for (let round = 0; round < Number(rounds); round++) {
    const begin = process.cpuUsage();
    for (const [, bytes] of sources) await encode(bytes);
    const { user, system } = process.cpuUsage(begin);
    milliseconds.push((user + system) / 1000 / sources.length);
  }
  console.log(JSON.stringify(milliseconds));
}

async function decode() {
  for (const [name, bytes] of pictures(from)) writeFileSync(path.join(to, `${name}.png`), await sharp(bytes).png({ compressionLevel: 1 }).toBuffer());
}

await { derive, time: () => time(rest), decode }[command]();

// One worker process: fetch, sharp at quality 50, a file or an upload, progress, and the webhook by
// whoever ends the last image. Started by stack.mjs, which sends its options first.
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import path from 'node:path';
import { Worker } from 'bullmq';
import { v2 as cloudinary } from 'cloudinary';
import sharp from 'sharp';
import { openDatabase } from './database.mjs';
import { QUEUE, connect } from './queue.mjs';

const options = await new Promise((resolve) => process.once('message', resolve));

// The fastest settings found: one libvips thread an image, as images run side by side.
sharp.concurrency(1);
sharp.cache(false);

const database = await openDatabase();
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
if (options.sink === 'disk') await mkdir(options.out, { recursive: true });
let counts = { done: 0, failed: 0, bytesIn: 0, bytesOut: 0, errors: {} };

async function download(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
  if (response.ok) return Buffer.from(await response.arrayBuffer());
  await response.body?.cancel();
  throw new Error(`the origin answered ${response.status}`);
}

async function upload(imageId, bytes) {
  const result = await new Promise((resolve, reject) => {
    const stored = (error, result) => (error ? reject(new Error(error.message ?? 'the upload failed')) : resolve(result));
    cloudinary.uploader.upload_stream({ folder: 'processed_images', public_id: imageId, agent, timeout: 30_000, disable_promises: true }, stored).end(bytes);
  });
  return result.secure_url;
}

async function save(imageId, bytes) {
  if (options.sink === 'cloudinary') return upload(imageId, bytes);
  const target = path.join(options.out, `${imageId}.jpg`);
  await writeFile(`${target}.part`, bytes);
  await rename(`${target}.part`, target);
  return target;
}

async function tellWhenComplete(request) {
  if (!request || request.processedImages + request.failedImages < request.totalImages) return;
  if (!(await database.complete(request._id))) return;
  const body = JSON.stringify({ requestId: request._id, status: 'completed', processedImages: request.processedImages, failedImages: request.failedImages });
  for (let attempt = 0; attempt < 5; attempt++) {
    const answer = await fetch(options.webhook, { method: 'POST', headers: { 'content-type': 'application/json' }, body }).catch(() => null);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 200 * 2 ** attempt));
  }
}

async function processImage({ data: { requestId, imageId, inputUrl } }) {
  const input = await download(inputUrl);
  const output = await sharp(input).jpeg({ quality: 50 }).toBuffer();
  const outputUrl = await save(imageId, output);
  const request = await database.settle(imageId, requestId, { outputUrl, status: 'completed' }, 'processedImages');
  counts.done++;
  counts.bytesIn += input.length;
  counts.bytesOut += output.length;
  await tellWhenComplete(request);
  return { outputUrl };
}

const worker = new Worker(QUEUE, processImage, {
  connection: connect(), concurrency: options.concurrency, removeOnComplete: { count: 1000 }, removeOnFail: { count: 1000 },
});
worker.on('error', (error) => console.error(error));
worker.on('failed', async (job, error) => {
  counts.errors[error.message] = (counts.errors[error.message] ?? 0) + 1;
  if (!job || job.attemptsMade < job.opts.attempts) return;
  counts.failed++;
  await tellWhenComplete(await database.settle(job.data.imageId, job.data.requestId, { status: 'failed' }, 'failedImages'));
});

process.on('message', async (message) => {
  if (message === 'reset') {
    counts = { done: 0, failed: 0, bytesIn: 0, bytesOut: 0, errors: {} };
    process.send({ cpu: process.cpuUsage() });
  } else if (message === 'report') {
    process.send({ cpu: process.cpuUsage(), counts });
  } else if (message === 'stop') {
    await worker.close();
    await database.close();
    process.exit(0);
  }
});
process.on('disconnect', () => process.exit(1));

await worker.waitUntilReady();
await sharp({ create: { width: 64, height: 64, channels: 3, background: '#888' } }).jpeg().toBuffer();
process.send({ ready: true });

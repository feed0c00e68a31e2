// What users of such stacks run today, made correct and set up for speed: BullMQ on
// Redis, progress in MongoDB, sharp, files on disk or Cloudinary, a webhook at the end.
//   node stack.mjs --csv FILE --out DIR [--sink disk|cloudinary] [--workers N] [--concurrency N] [--warm N] [--timeout SECONDS]
//   node stack.mjs --csv FILE --workers 0 --pids PID,… --webhook-port PORT
// The second form has jobs worked off by somebody else's workers, which run already and tell that port.
// Needs REDIS_URL and MONGO_URL, and CLOUDINARY_URL for that sink. Prints one JSON line. The clock runs from the first job
// added to the webhook's receipt, with workers up and warmed by a first request, and CPU
// is that of producer and workers over that time: the most favourable reading for Node.
// Exit code 1 unless every image was done.
import { fork } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Queue } from 'bullmq';
import { parse } from 'csv-parse/sync';
import { openDatabase } from './database.mjs';
import { JOB, QUEUE, connect } from './queue.mjs';

const { values: options } = parseArgs({ options: {
  csv: { type: 'string' }, out: { type: 'string' },
  workers: { type: 'string', default: String(Math.max(1, availableParallelism() >> 1)) },
  concurrency: { type: 'string', default: '16' },
  sink: { type: 'string', default: 'disk' }, pids: { type: 'string', default: '' }, 'webhook-port': { type: 'string', default: '0' },
  warm: { type: 'string', default: '100' }, timeout: { type: 'string', default: '600' },
} });
const others = options.pids.split(',').filter(Boolean);
if (!options.csv || !(options.out || others.length) || !process.env.REDIS_URL || !process.env.MONGO_URL) {
  console.error('stack: --csv, --out or --pids, REDIS_URL and MONGO_URL are needed');
  process.exit(2);
}

function readUrls(file) {
  const rows = parse(readFileSync(file), { columns: true, bom: true, skip_empty_lines: true });
  return rows.flatMap((row) => row['Input Image Urls'].split(',').map((url) => url.trim()).filter(Boolean));
}

/** Resolves a request's promise when its webhook arrives. */
async function listenForWebhooks(waiting) {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    response.writeHead(204).end();
    waiting.get(JSON.parse(body).requestId)?.(performance.now());
  }).listen(Number(options['webhook-port']), '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function startWorker(webhook) {
  const worker = fork(path.join(import.meta.dirname, 'worker.mjs'));
  worker.send({ out: options.out, sink: options.sink, webhook, concurrency: Number(options.concurrency) });
  const [first] = await Promise.race([once(worker, 'message'), once(worker, 'exit').then(() => [{}])]);
  if (!first.ready) throw new Error('a worker did not start');
  return worker;
}

const ask = async (worker, question) => {
  const answer = once(worker, 'message');
  worker.send(question);
  return (await answer)[0];
};

async function runRequest(urls, { database, queue, waiting }) {
  const requestId = randomUUID();
  const images = urls.map((inputUrl) => ({ _id: randomBytes(12).toString('hex'), requestId, inputUrl, status: 'pending' }));
  const completed = new Promise((resolve) => waiting.set(requestId, resolve));
  await database.insert({ _id: requestId, totalImages: images.length }, images);

  const started = performance.now();
  const opts = { attempts: 3, backoff: { type: 'exponential', delay: 200 } };
  for (let at = 0; at < images.length; at += 1000) {
    await queue.addBulk(images.slice(at, at + 1000).map(({ _id, inputUrl }) => ({ name: JOB, data: { requestId, imageId: _id, inputUrl }, opts })));
  }
  let timer;
  const tooLate = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('not completed in time')), options.timeout * 1000); });
  const ended = await Promise.race([completed, tooLate]);
  clearTimeout(timer);
  return (ended - started) / 1000;
}

/** User and system seconds of a process that is not ours; the kernel counts ticks of 10 ms. */
function othersCpuSeconds() {
  const ticks = (pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return Number(fields[11]) + Number(fields[12]);
  };
  return others.reduce((sum, pid) => sum + ticks(pid) / 100, 0);
}

const cpuSeconds = (after, before) => (after.user + after.system - before.user - before.system) / 1e6;

async function measure(urls, workers, stack) {
  const warm = Math.min(Number(options.warm), urls.length);
  if (warm > 0) await runRequest(urls.slice(0, warm), stack);
  await stack.database.clear();

  const before = await Promise.all(workers.map((worker) => ask(worker, 'reset')));
  const [ownBefore, othersBefore] = [process.cpuUsage(), othersCpuSeconds()];
  const seconds = await runRequest(urls, stack);
  const after = await Promise.all(workers.map((worker) => ask(worker, 'report')));
  const workersCpu = after.reduce((sum, report, i) => sum + cpuSeconds(report.cpu, before[i].cpu), othersCpuSeconds() - othersBefore);
  const sum = (field) => after.reduce((total, report) => total + report.counts[field], 0);
  return {
    images: urls.length, done: await stack.database.done(), failed: sum('failed'), seconds,
    cpu_s: workersCpu + cpuSeconds(process.cpuUsage(), ownBefore), worker_cpu_s: workersCpu,
    bytes_in: sum('bytesIn'), bytes_out: sum('bytesOut'), errors: Object.assign({}, ...after.map((report) => report.counts.errors)),
  };
}

const waiting = new Map();
const server = await listenForWebhooks(waiting);
const queue = new Queue(QUEUE, { connection: connect() });
const database = await openDatabase();
await queue.obliterate({ force: true });
await database.clear();
const webhook = `http://127.0.0.1:${server.address().port}/`;
const workers = await Promise.all(Array.from({ length: Number(options.workers) }, () => startWorker(webhook)));

let code = 1;
try {
  const result = await measure(readUrls(options.csv), workers, { database, queue, waiting });
  console.log(JSON.stringify(result));
  code = result.done === result.images ? 0 : 1;
} catch (error) {
  console.error(String(error));
}
await Promise.all(workers.map(async (worker) => {
  if (worker.exitCode !== null) return;
  const gone = once(worker, 'exit');
  worker.send('stop');
  await gone;
}));
process.exit(code);

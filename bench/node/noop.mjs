// Jobs without work through BullMQ: jobs a second, and CPU time of this process a job, as one line of JSON.
// With `telling` each job's progress and a log line are written, as pixmill writes them.
//   node noop.mjs JOBS CONCURRENCY [telling]
import { Queue, Worker } from 'bullmq';
import { connect, JOB } from './queue.mjs';

const CHUNK = 1000;
const [jobs, concurrency] = process.argv.slice(2, 4).map(Number);
const telling = process.argv[4] === 'telling';
const name = `bench-${process.pid}`;
const queue = new Queue(name, { connection: connect() });
const job = (number) => ({
  name: JOB,
  data: {
    requestId: '01890a5d-ac96-774b-bcce-b302ffffffff',
    imageId: `01890a5d-ac96-774b-bcce-b302${number.toString(16).padStart(8, '0')}`,
    inputUrl: `http://127.0.0.1:18080/1mp/01.jpg?i=${number}`,
  },
});
for (let first = 0; first < jobs; first += CHUNK) {
  await queue.addBulk(Array.from({ length: Math.min(CHUNK, jobs - first) }, (_, i) => job(first + i)));
}

const before = process.cpuUsage();
const began = performance.now();
let completed = 0;
const work = async (taken) => {
  if (telling) await Promise.all([taken.log('200000 bytes were fetched, 40000 stored'), taken.updateProgress(100)]);
  return { secure_url: 'http://127.0.0.1/out/1.jpg', bytes: 40000 };
};
const worker = new Worker(name, work, {
  connection: connect(), concurrency, removeOnComplete: { count: 1000 }, removeOnFail: { count: 1000 },
});
worker.on('error', (error) => console.error(error));
await new Promise((done) => worker.on('completed', () => ++completed === jobs && done()));
const seconds = (performance.now() - began) / 1000;
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({
  jobs_per_second: Math.round(jobs / seconds),
  cpu_us_per_job: Math.round(((user + system) * 10) / jobs) / 10,
  peak_rss_mib: Math.round(process.resourceUsage().maxRSS / 1024),
}));
await worker.close();
await queue.close();
process.exit(0);

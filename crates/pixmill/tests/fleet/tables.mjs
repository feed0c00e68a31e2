// What an application does that gives jobs in a shape of its own. Run with a command as its arguments; prints JSON.
//   give QUEUE NAME '[data, …]'   adds jobs, waits until they have ended, prints how
//   add QUEUE NAME '[data, …]'    adds jobs, prints their ids
//   ends QUEUE '[id, …]'          waits until these have ended, prints how
//   again QUEUE ID DATA           edits a job that failed, retries it as bull-board does, waits, prints how it ended
//   work QUEUE COUNT              works off so many jobs as the application's own worker does, prints their ids
// REDIS_URL says where.
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const [command, name, ...rest] = process.argv.slice(1);
const connect = () => new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null });
const queue = new Queue(name, { connection: connect() });
const pause = () => new Promise((done) => setTimeout(done, 50));

async function end(id) {
  for (;;) {
    const state = await queue.getJobState(id);
    const job = await queue.getJob(id);
    if (state === 'completed' || state === 'failed') {
      return { id, state, value: job.returnvalue, reason: job.failedReason, attempts: job.attemptsMade };
    }
    await pause();
  }
}

const ends = (ids) => Promise.all(ids.map(end));

async function add(job, list) {
  const jobs = await queue.addBulk(JSON.parse(list).map((data) => ({ name: job, data })));
  return jobs.map(({ id }) => id);
}

const commands = {
  add,
  give: async (job, list) => ends(await add(job, list)),
  ends: (list) => ends(JSON.parse(list)),
  again: async (id, data) => {
    const job = await queue.getJob(id);
    await job.updateData(JSON.parse(data));
    await job.retry('failed');
    return end(id);
  },
  work: async (count) => {
    const ids = [];
    const worker = new Worker(name, async ({ id }) => (ids.push(id), { by: 'node' }), { connection: connect() });
    while (ids.length < Number(count)) await pause();
    await worker.close();
    return ids;
  },
};
console.log(JSON.stringify(await commands[command](...rest)));

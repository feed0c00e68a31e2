// What a Node producer, worker and bull-board do with a queue. Run with a command as its arguments; prints JSON.
//   add NAME '[{"name", "data", "opts"}, …]'   adds jobs, prints their ids
//   take NAME COUNT                            works off so many jobs, prints them
//   show NAME                                  prints jobs by state, as Queue and as bull-board see them
// REDIS_URL says where.
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import express from 'express';
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';

const [command, name, argument] = process.argv.slice(1);
const connect = () => new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null });
const STATES = ['waiting', 'active', 'delayed', 'completed', 'failed'];

async function add(queue) {
  const jobs = await queue.addBulk(JSON.parse(argument));
  return jobs.map((job) => job.id);
}

async function take() {
  const taken = [];
  const work = async ({ id, name, data, opts }) => {
    taken.push({ id, name, data, opts });
    return { by: 'node' };
  };
  const worker = new Worker(name, work, { connection: connect(), concurrency: 8 });
  let completed = 0;
  await new Promise((done) => worker.on('completed', () => ++completed === Number(argument) && done()));
  await worker.close();
  return taken;
}

async function board(queue) {
  const adapter = new ExpressAdapter();
  createBullBoard({ queues: [new BullMQAdapter(queue)], serverAdapter: adapter });
  const server = await new Promise((done) => {
    const listening = express().use('/', adapter.getRouter()).listen(0, '127.0.0.1', () => done(listening));
  });
  const base = `http://127.0.0.1:${server.address().port}`;
  const shown = {};
  for (const state of STATES) {
    const answer = await fetch(`${base}/api/queues?activeQueue=${name}&status=${state}&page=1&jobsPerPage=50`);
    const { queues } = await answer.json();
    shown[state] = queues.find((one) => one.name === name).jobs;
    for (const job of shown[state]) {
      const logs = await fetch(`${base}/api/queues/${name}/${encodeURIComponent(job.id)}/logs`);
      job.logs = await logs.json();
    }
  }
  server.close();
  return shown;
}

async function show(queue) {
  const jobs = {};
  for (const state of STATES) jobs[state] = (await queue.getJobs([state])).map((job) => job.toJSON());
  const redis = connect();
  const events = await redis.xrange(`bull:${name}:events`, '-', '+');
  redis.disconnect();
  const told = events.map(([, fields]) => fields[fields.indexOf('event') + 1]).filter((event) => event !== 'drained');
  return { counts: await queue.getJobCounts(), jobs, events: told, board: await board(queue) };
}

const queue = new Queue(name, { connection: connect() });
console.log(JSON.stringify(await { add, take, show }[command](queue)));

// Applications that keep their work in MongoDB, in the manner of public ones: documents as Mongoose writes them, jobs in
// BullMQ. Run as
//   give SHAPE '[[url, …], …]' FOLDER   hands in a request of these products, waits until the application's own reader says
//                                       that it is done, prints what that shows
//   work QUEUE COUNT                    works off so many jobs, as an application's own worker would that writes nothing
// REDIS_URL and MONGODB_URI say where.
import fs from 'node:fs';
import { randomUUID } from 'node:crypto';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';

const [command, ...rest] = process.argv.slice(1);
const connect = () => new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null });
const client = await new MongoClient(process.env.MONGODB_URI).connect();
const db = client.db();
const of = (name) => db.collection(name);
const stamps = () => ({ createdAt: new Date(), updatedAt: new Date(), __v: 0 });
const pause = () => new Promise((done) => setTimeout(done, 50));

async function until(look) {
  for (;;) {
    const found = await look();
    if (found) return found;
    await pause();
  }
}

// Each gives what is asked for in the end: an application's reader.
const shapes = {
  // The worker inserts images; the total is written last.
  async inserted(products, requestId) {
    const queue = new Queue('imageProcessing', { connection: connect() });
    await of('requests').insertOne({ _id: requestId, status: 'pending', totalImages: 0, processedImages: 0, ...stamps() });
    let totalImages = 0;
    const jobs = [];
    for (const [number, urls] of products.entries()) {
      const { insertedId } = await of('products').insertOne({ requestId, name: `Product ${number}`, images: [], ...stamps() });
      for (const inputUrl of urls) jobs.push(await queue.add('processImage', { productId: insertedId, inputUrl, requestId }));
      totalImages += urls.length;
    }
    await new Promise((done) => setTimeout(done, 1500));
    await of('requests').updateOne({ _id: requestId }, { $set: { totalImages, updatedAt: new Date() } });
    const request = await until(() => of('requests').findOne({ _id: requestId, status: 'completed' }));
    const images = await of('images').find({ requestId }).toArray();
    const names = new Set((await of('products').find({ requestId }).toArray()).map(({ _id }) => String(_id)));
    return { request, images, known: images.every(({ productId }) => names.has(String(productId))), failed: await queue.getFailedCount() };
  },
  // A value is returned, and the request counts.
  async webhooks(products, requestId) {
    const queue = new Queue('webhook-images', { connection: connect() });
    const urls = products.flat();
    await of('requests').insertOne({ request_id: requestId, status: 'PROCESSING', total: urls.length, processed: 0 });
    for (const [productOid, url] of urls.entries()) await queue.add('compress', { url, requestId, productOid });
    return { request: await until(() => of('requests').findOne({ request_id: requestId, status: 'COMPLETED' })) };
  },
  // Documents with lists of addresses.
  async arrays(products, requestId) {
    const queue = new Queue('image-requests', { connection: connect() });
    const documents = products.map((imageUrls, number) => ({
      requestId, serialNumber: number + 1, productName: `Product ${number}`, imageUrls, outputUrls: [], status: 'PENDING', ...stamps(),
    }));
    await of('images').insertMany(documents);
    await queue.add('process', { requestId });
    await until(async () => (await of('images').countDocuments({ requestId, status: { $ne: 'COMPLETED' } })) === 0);
    return { documents: await of('images').find({ requestId }).sort({ serialNumber: 1 }).toArray() };
  },
  // Places in the arrays of one document.
  async positions(products, requestId, webhookUrl) {
    const queue = new Queue('image-positions', { connection: connect() });
    await of('processingrequests').insertOne({
      requestId, status: 'PENDING', webhookUrl, ...stamps(),
      products: products.map((inputImageUrls, number) => ({ productName: `Product ${number}`, inputImageUrls, outputImageUrls: [] })),
    });
    for (const [productIndex, urls] of products.entries()) {
      for (const [index, url] of urls.entries()) await queue.add('image', { url, requestId, index, productIndex });
    }
    return { request: await until(() => of('processingrequests').findOne({ requestId, status: 'COMPLETED' })) };
  },
  // A product a job; the document comes after its job.
  async product(products, requestId, more) {
    const queue = new Queue('product-jobs', { connection: connect() });
    await of('requests').insertOne({ requestId, status: 'pending', totalProducts: products.length, processedProducts: 0, ...stamps() });
    const { ObjectId } = await import('mongodb');
    for (const inputImageUrls of products) {
      const _id = new ObjectId();
      await queue.add('product', { requestId, productId: _id });
      if (more !== 'at once') await new Promise((done) => setTimeout(done, 300));
      await of('products').insertOne({ _id, requestId, inputImageUrls, outputImageUrls: [], status: 'pending', ...stamps() });
    }
    if (more === 'at once') return {};
    const request = await until(() => of('requests').findOne({ requestId, status: 'completed' }));
    return { request, products: await of('products').find({ requestId }).sort({ createdAt: 1 }).toArray() };
  },
  // Lists in the job.
  async lists(products, requestId) {
    const queue = new Queue('request-lists', { connection: connect() });
    await of('requestrecords').insertOne({ requestId, status: 'pending', ...stamps() });
    const listed = products.map((inputUrls, number) => ({ productName: `Product ${number}`, inputUrls }));
    await of('products').insertMany(listed.map((product) => ({ requestId, ...product, outputUrls: [], ...stamps() })));
    await queue.add('process', { requestId, products: listed });
    const request = await until(() => of('requestrecords').findOne({ requestId, status: 'completed' }));
    return { request, products: await of('products').find({ requestId }).sort({ productName: 1 }).toArray() };
  },
  // A file a job.
  async file(products, requestId, folder) {
    const queue = new Queue('catalogue-files', { connection: connect() });
    fs.mkdirSync(`${folder}/uploads`, { recursive: true });
    const rows = products.map((urls, number) => `${number + 1},Product ${number},"${urls.join(', ')}"\n`);
    fs.writeFileSync(`${folder}/uploads/${requestId}`, `S. No.,Product Name,Input Image Urls\n${rows.join('')}`);
    await of('requests').insertOne({ requestId, status: 'pending', ...stamps() });
    await queue.add('parse', { requestId, filePath: requestId });
    const request = await until(() => of('requests').findOne({ requestId, status: 'completed' }));
    return { request, products: await of('products').find({ requestId }).sort({ serialNumber: 1 }).toArray() };
  },
};

const commands = {
  give: async (shape, products, more) => {
    const requestId = randomUUID();
    return { requestId, ...(await shapes[shape](JSON.parse(products), requestId, more)) };
  },
  work: async (name, count) => {
    const ids = [];
    const worker = new Worker(name, async ({ id }) => ids.push(id), { connection: connect() });
    while (ids.length < Number(count)) await pause();
    await worker.close();
    return ids;
  },
  add: async (name, data) => {
    const queue = new Queue(name, { connection: connect() });
    for (const one of JSON.parse(data)) await queue.add('job', one);
    return queue.getJobCounts();
  },
  end: async (requestId) => {
    const request = await until(() => of('requests').findOne({ requestId, status: 'completed' }));
    return { request, products: await of('products').find({ requestId }).sort({ createdAt: 1 }).toArray() };
  },
  counts: async (name) => new Queue(name, { connection: connect() }).getJobCounts(),
};
console.log(JSON.stringify(await commands[command](...rest)));

// Progress in MongoDB, in the collections that such stacks use.
import { MongoClient } from 'mongodb';

/** Opens the database named in MONGO_URL. */
export async function openDatabase() {
  const client = await new MongoClient(process.env.MONGO_URL, { maxPoolSize: 10 }).connect();
  const requests = client.db().collection('requests');
  const images = client.db().collection('images');
  return {
    async insert(request, documents) {
      await requests.insertOne({ ...request, status: 'pending', processedImages: 0, failedImages: 0, createdAt: new Date() });
      for (let at = 0; at < documents.length; at += 1000) await images.insertMany(documents.slice(at, at + 1000));
    },

    /** Ends an image and gives back its request, counted up. */
    async settle(imageId, requestId, fields, counter) {
      await images.updateOne({ _id: imageId }, { $set: fields });
      return requests.findOneAndUpdate({ _id: requestId }, { $inc: { [counter]: 1 }, $set: { updatedAt: new Date() } }, { returnDocument: 'after' });
    },

    /** True for the one caller that completed the request. */
    async complete(requestId) {
      const done = await requests.updateOne({ _id: requestId, status: 'pending' }, { $set: { status: 'completed', completedAt: new Date() } });
      return done.modifiedCount === 1;
    },

    /** Images that have an output. */
    done: () => images.countDocuments({ status: 'completed', outputUrl: { $gt: '' } }),

    async clear() {
      await Promise.all([requests.deleteMany({}), images.deleteMany({})]);
    },
    close: () => client.close(),
  };
}

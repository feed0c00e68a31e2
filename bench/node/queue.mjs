// Names that producer and workers share.
import { Redis } from 'ioredis';

export const QUEUE = 'image-processing';
export const JOB = 'process-image';

/** A connection to the Redis named in REDIS_URL, set up as BullMQ demands. */
export const connect = () => new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null });

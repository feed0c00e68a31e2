--[[
  Takes the jobs that are named, each from where it waits, unless somebody else was first, and puts those that are named as
  due from delayed to where they wait. No other job is touched, and no key where none of them is there.

  KEYS: 1 wait, 2 active, 3 prioritized, 4 events, 5 limiter, 6 delayed, 7 meta, 8 pc, 9 marker
  ARGV: 1 prefix of keys, 2 now in ms, 3 token, 4 lock in ms, 5 name of the worker, 6 how many are due; then the ids of
        those, then the ids of those to take, in their order
  Gives back: how long the queue's rate lets nothing be taken in ms, how many came from delayed, and the id and fields of
  each job that was taken.
]]
local rcall = redis.call
local wait, active, prioritized, events, limiter, delayed, meta, pc, marker = unpack(KEYS)
local prefix, now, token, lock, name = unpack(ARGV)
local due = tonumber(ARGV[6])
local attributes = rcall("HMGET", meta, "paused", "concurrency", "max", "duration")
local paused, concurrency = attributes[1], tonumber(attributes[2])
local most, duration = tonumber(attributes[3]), tonumber(attributes[4])
local promoted = 0
for at = 7, 6 + due do
  local id = ARGV[at]
  local score = tonumber(rcall("ZSCORE", delayed, id))
  if score and score < (tonumber(now) + 1) * 0x1000 and rcall("ZREM", delayed, id) == 1 then
    local priority = tonumber(rcall("HGET", prefix .. id, "priority")) or 0
    if priority == 0 then
      rcall("LPUSH", wait, id)
    else
      local count = rcall("INCR", pc)
      rcall("ZADD", prioritized, priority * 0x100000000 + count % 0x100000000, id)
    end
    rcall("XADD", events, "*", "event", "waiting", "jobId", id, "prev", "delayed")
    rcall("HSET", prefix .. id, "delay", 0)
    promoted = promoted + 1
  end
end
if promoted > 0 and not paused then
  rcall("ZADD", marker, 0, "0")
end
local taken, limited, urgent = {}, 0, false
for at = 7 + due, #ARGV do
  local id = ARGV[at]
  local key = prefix .. id
  if paused or (concurrency and rcall("LLEN", active) >= concurrency) then
    break
  end
  if most and tonumber(rcall("GET", limiter) or 0) >= most then
    limited = math.max(rcall("PTTL", limiter), 0)
    break
  end
  if rcall("EXISTS", key) == 1 then
    local found = rcall("LREM", wait, -1, id)
    if found == 0 then
      found = rcall("ZREM", prioritized, id)
      urgent = urgent or found == 1
    end
    if found == 1 then
      if most and rcall("HEXISTS", key, "defa") == 0 and rcall("INCR", limiter) == 1 then
        rcall("PEXPIRE", limiter, math.floor(math.abs(duration or 0)))
      end
      rcall("LPUSH", active, id)
      rcall("SET", key .. ":lock", token, "PX", lock)
      rcall("XADD", events, "*", "event", "active", "jobId", id, "prev", "waiting")
      rcall("HMSET", key, "processedOn", now, "pb", name)
      rcall("HINCRBY", key, "ats", 1)
      taken[#taken + 1] = { id, rcall("HGETALL", key) }
    end
  end
end
if urgent and rcall("ZCARD", prioritized) == 0 then
  rcall("DEL", pc)
end
if #taken > 0 then
  rcall("ZADD", marker, 0, "0")
end
return { limited, promoted, taken }

--[[
  Adds jobs that wait at once, unless there is one of the same id.

  KEYS: 1 wait, 2 meta, 3 events, 4 marker
  ARGV: 1 prefix of keys, 2 now in ms, 3 name, 4 options as JSON; then ids, each with its data as JSON
  Gives back how many are new.
]]
local rcall = redis.call
local wait, meta, events, marker = unpack(KEYS)
local added = 0
-- What the library of Node writes when it opens a queue.
rcall("HSETNX", meta, "opts.maxLenEvents", 10000)
local most = rcall("HGET", meta, "opts.maxLenEvents")
for at = 5, #ARGV, 2 do
  local id = ARGV[at]
  local key = ARGV[1] .. id
  if rcall("EXISTS", key) == 0 then
    rcall("HMSET", key, "name", ARGV[3], "data", ARGV[at + 1], "opts", ARGV[4], "timestamp", ARGV[2], "delay", 0,
      "priority", 0)
    rcall("XADD", events, "*", "event", "added", "jobId", id, "name", ARGV[3])
    rcall("LPUSH", wait, id)
    rcall("XADD", events, "MAXLEN", "~", most, "*", "event", "waiting", "jobId", id)
    added = added + 1
  end
end
if added > 0 and rcall("HEXISTS", meta, "paused") == 0 then
  rcall("ZADD", marker, 0, "0")
end
return added

--[[
  Puts those of the jobs that are named back to waiting that are active, whose lock has expired, and that were found so or
  otherwise before. No other job is touched.

  KEYS: 1 active, 2 wait, 3 stalled, 4 meta, 5 marker, 6 events
  ARGV: 1 prefix of keys, then ids
  Gives back how many were put back.
]]
local rcall = redis.call
local active, wait, stalled, meta, marker, events = unpack(KEYS)
local prefix, back = ARGV[1], 0
for at = 2, #ARGV do
  local id = ARGV[at]
  local key = prefix .. id
  if rcall("SADD", stalled, id) == 0 and rcall("EXISTS", key .. ":lock") == 0 then
    rcall("SREM", stalled, id)
    if rcall("LREM", active, 1, id) == 1 and rcall("EXISTS", key) == 1 then
      rcall("HINCRBY", key, "stc", 1)
      rcall("RPUSH", wait, id)
      rcall("XADD", events, "*", "event", "waiting", "jobId", id, "prev", "active")
      rcall("XADD", events, "*", "event", "stalled", "jobId", id)
      back = back + 1
    end
  end
end
if back > 0 and rcall("HEXISTS", meta, "paused") == 0 then
  rcall("ZADD", marker, 0, "0")
end
return back

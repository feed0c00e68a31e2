--[[
  Removes jobs that pixmill added, which have neither parents nor children, unless somebody works on them.

  KEYS: 1 wait, 2 prioritized, 3 delayed, 4 completed, 5 failed, 6 events
  ARGV: 1 prefix of keys, then ids
]]
local rcall = redis.call
for at = 2, #ARGV do
  local id = ARGV[at]
  local key = ARGV[1] .. id
  if rcall("EXISTS", key .. ":lock") == 0 then
    local found = rcall("LREM", KEYS[1], -1, id)
    for set = 2, 5 do
      found = found + rcall("ZREM", KEYS[set], id)
    end
    if found > 0 then
      rcall("DEL", key, key .. ":logs")
      rcall("XADD", KEYS[6], "*", "event", "removed", "jobId", id, "prev", "finished")
    end
  end
end
return 0

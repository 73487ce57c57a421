-- Write the changed states of a partition and its new position together, if the writer still owns the partition
-- and Redis still holds what the writer last wrote.
--
-- KEYS[1]   the partition's meta key: hash of producer_id, producer_epoch, position, lineage
-- KEYS[2..] keys of the changed states
-- ARGV[1]   producer id      ARGV[2]  producer epoch      ARGV[3]  lineage
-- ARGV[4]   the position last written, '' for none        ARGV[5]  the new position
-- ARGV[6]   time to live, ms                              ARGV[7..] the states; '' deletes
-- answers 'fenced' (a higher epoch is stored), 'lost' (Redis forgot or was rolled back) or 'ok'
local stored = redis.call('HMGET', KEYS[1], 'producer_id', 'producer_epoch', 'position', 'lineage')
if not stored[1] then return 'lost' end
local stored_id, stored_epoch = tonumber(stored[1]), tonumber(stored[2])
local id, epoch = tonumber(ARGV[1]), tonumber(ARGV[2])
if stored_id > id or (stored_id == id and stored_epoch > epoch) then return 'fenced' end
if stored_id ~= id or stored_epoch ~= epoch or stored[4] ~= ARGV[3] or (stored[3] or '') ~= ARGV[4] then
  return 'lost'
end
for i = 2, #KEYS do
  local state = ARGV[i + 5]
  if state == '' then
    redis.call('DEL', KEYS[i])
  else
    redis.call('SET', KEYS[i], state, 'PX', ARGV[6])
  end
end
redis.call('HSET', KEYS[1], 'position', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return 'ok'

-- Write the changed states of a partition and its new position together, if Redis still holds what the writer last
-- wrote: its token, its lineage and its position.
--
-- KEYS[1]   the partition's meta key           KEYS[2..] keys of the changed states
-- ARGV[1]   the writer's token                 ARGV[2]   lineage
-- ARGV[3]   the position last written, '' for none       ARGV[4]   the new position
-- ARGV[5]   time to live, ms                   ARGV[6]   how often the group's offset went back, '' for unknown
-- ARGV[7..] the states; '' deletes
-- answers 'ok', or 'changed' (another owner claimed the partition, or Redis forgot or was rolled back)
local stored = redis.call('HMGET', KEYS[1], 'owner', 'lineage', 'position')
if stored[1] ~= ARGV[1] or stored[2] ~= ARGV[2] or (stored[3] or '') ~= ARGV[3] then return 'changed' end
for i = 2, #KEYS do
  local state = ARGV[i + 5]
  if state == '' then
    redis.call('DEL', KEYS[i])
  else
    redis.call('SET', KEYS[i], state, 'PX', ARGV[5])
  end
end
if ARGV[3] ~= ARGV[4] then
  local now = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'position', ARGV[4], 'flushed_ms', now[1] * 1000 + math.floor(now[2] / 1000))
end
if ARGV[6] == '' then
  redis.call('HDEL', KEYS[1], 'resets')
else
  redis.call('HSET', KEYS[1], 'resets', ARGV[6])
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 'ok'

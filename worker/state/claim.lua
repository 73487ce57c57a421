-- Raise the epoch of a partition: from here on, no flush of an earlier owner is accepted.
--
-- KEYS[1]  the partition's meta key: hash of producer_id, producer_epoch, position, lineage
-- ARGV[1]  producer id          ARGV[2]  producer epoch: together the claimed epoch; id '' takes one from the clock
-- ARGV[3]  lineage to begin where there is none
-- ARGV[4]  'new_lineage': begin that lineage in any case, without a position
-- ARGV[5]  time to live, ms
-- answers {'fenced', id, epoch} or {'ok', id, epoch, position or '', lineage}
local stored = redis.call('HMGET', KEYS[1], 'producer_id', 'producer_epoch', 'position', 'lineage')
local stored_id, stored_epoch = tonumber(stored[1] or -1), tonumber(stored[2] or -1)
local id, epoch = tonumber(ARGV[1]), tonumber(ARGV[2])
if not id then
  -- Without transactions Kafka numbers no owner. Milliseconds grow even across a Redis that lost its data.
  local now = redis.call('TIME')
  id, epoch = math.max(now[1] * 1000 + math.floor(now[2] / 1000), stored_id + 1), 0
elseif stored_id > id or (stored_id == id and stored_epoch > epoch) then
  return {'fenced', stored[1], stored[2]}
end
local position, lineage = stored[3] or '', stored[4] or ''
if lineage == '' or ARGV[4] == 'new_lineage' then
  position, lineage = '', ARGV[3]
  redis.call('HDEL', KEYS[1], 'position')
end
local id_text = string.format('%.0f', id)
redis.call('HSET', KEYS[1], 'producer_id', id_text, 'producer_epoch', epoch, 'lineage', lineage)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {'ok', id_text, tostring(epoch), position, lineage}

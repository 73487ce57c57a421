-- Make the asker the owner of a partition: from here on, no read or flush of an earlier owner is accepted.
--
-- A shadow is refused where a worker of its own model claimed the partition last: it has taken the shadow's states.
--
-- KEYS[1]  the partition's meta key: hash of owner, transactional_id, topic_id, partitions, lineage, and, of the last
--          flush, position, flushed_ms, resets
-- KEYS[2]  its serving key: hash of the fingerprint and the transactional_id of the worker that claimed it last
-- ARGV[1]  the asker's token          ARGV[2]  its transactional id
-- ARGV[3]  the topic's id, '' where brokers have none; kept where there is one
-- ARGV[4]  the topic's number of partitions; kept where there is one
-- ARGV[5]  time to live, ms; the states of a position that was flushed longer ago may be gone
-- ARGV[6]  the fingerprint of the asker's model           ARGV[7]  'shadow', or '' for a worker
-- answers {position or '', lineage or '', the predecessor's transactional id or '', topic id, number of partitions,
--          the transactional id of the last worker of any model or '', resets or ''}; an empty list where it is refused
local serving = redis.call('HMGET', KEYS[2], 'fingerprint', 'transactional_id')
if ARGV[7] ~= '' then
  if serving[1] == ARGV[6] then return {} end
else
  redis.call('HSET', KEYS[2], 'fingerprint', ARGV[6], 'transactional_id', ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local stored = redis.call('HMGET', KEYS[1], 'position', 'lineage', 'transactional_id', 'flushed_ms', 'resets')
local position = stored[1] or ''
if stored[4] then
  local flushed_ms = tonumber(stored[4])
  if not (flushed_ms and now_ms - flushed_ms <= tonumber(ARGV[5])) then position = '' end
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'transactional_id', ARGV[2])
-- Version 0.1 fences by these: without them it finds its states lost, instead of writing beside the new owner.
redis.call('HDEL', KEYS[1], 'producer_id', 'producer_epoch')
if ARGV[3] ~= '' then redis.call('HSETNX', KEYS[1], 'topic_id', ARGV[3]) end
redis.call('HSETNX', KEYS[1], 'partitions', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
local topic = redis.call('HMGET', KEYS[1], 'topic_id', 'partitions')
return {position, stored[2] or '', stored[3] or '', topic[1] or '', topic[2], serving[2] or '', stored[5] or ''}

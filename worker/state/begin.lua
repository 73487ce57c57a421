-- Begin a lineage without any states, if the asker still owns the partition.
--
-- A claimer that was paused must not do this: it would wipe the states of its successor.
--
-- KEYS[1]  the partition's meta key
-- ARGV[1]  the asker's token          ARGV[2]  the token that takes its place
-- ARGV[3]  the lineage                ARGV[4]  the topic's id, '' where brokers have none
-- ARGV[5]  the topic's number of partitions               ARGV[6]  time to live, ms
-- answers 'ok', or 'changed' where another owner has claimed the partition, or Redis forgot the claim
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 'changed' end
redis.call('HDEL', KEYS[1], 'position', 'flushed_ms', 'resets')
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'lineage', ARGV[3], 'topic_id', ARGV[4], 'partitions', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return 'ok'

-- Executions that wait for a time far away: their records, by the time at which they go on.
--
-- ARGV: "park", execution, record, due ms
--       "due", now ms, lease until ms, how many   -> execution, record, ...; whoever took them says "done" before the lease ends
--       "done", execution, lease until ms         -> nothing happens when it waits again already
--       "wake", execution, now ms                 -> 1 when it waits
local DUE, RECORDS = "weir:waiting", "weir:waiting:records"
local what, execution = ARGV[1], ARGV[2]
if what == "park" then
    redis.call("HSET", RECORDS, execution, ARGV[3])
    redis.call("ZADD", DUE, ARGV[4], execution)
elseif what == "due" then
    local found = {}
    for _, one in ipairs(redis.call("ZRANGEBYSCORE", DUE, "-inf", ARGV[2], "LIMIT", 0, ARGV[4])) do
        redis.call("ZADD", DUE, ARGV[3], one)
        found[#found + 1] = one
        found[#found + 1] = redis.call("HGET", RECORDS, one)
    end
    return found
elseif what == "done" then
    if redis.call("ZSCORE", DUE, execution) == ARGV[3] then
        redis.call("ZREM", DUE, execution)
        redis.call("HDEL", RECORDS, execution)
    end
elseif redis.call("ZSCORE", DUE, execution) then
    redis.call("ZADD", DUE, ARGV[3], execution)
    return 1
end
return 0

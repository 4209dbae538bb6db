-- Executions that wait for a time far away: their records, by the time at which they go on; which those of a project are.
--
-- ARGV: "park", execution, record, due ms, project
--       "due", now ms, lease until ms, how many   -> execution, record, ...; whoever took them says "done" before the lease ends
--       "done", execution, lease until ms, project -> nothing happens when it waits again already
-- One that somebody has taken and not done yet goes on: whoever wakes it leaves it as it is.
--       "forget", execution, project
--       "wake", execution, now ms                 -> 1 when it waits
--       "wake-all", project, cursor (0 at first), how many at once -> the next cursor (0: no more), how many of these waited
local DUE, RECORDS, OF, MOST_BYTES = "weir:waiting", "weir:waiting:records", "weir:waiting:of:", 4000000
-- until when each that was taken is
local TAKEN = "weir:waiting:taken"
local what, execution = ARGV[1], ARGV[2]

local function forget(project)
    redis.call("ZREM", DUE, execution)
    redis.call("HDEL", RECORDS, execution)
    redis.call("HDEL", TAKEN, execution)
    redis.call("SREM", OF .. project, execution)
end

local function goes_on(one)
    local taken = redis.call("HGET", TAKEN, one)
    return taken and taken == redis.call("ZSCORE", DUE, one)
end

if what == "park" then
    redis.call("HSET", RECORDS, execution, ARGV[3])
    redis.call("HDEL", TAKEN, execution)
    redis.call("ZADD", DUE, ARGV[4], execution)
    redis.call("SADD", OF .. ARGV[5], execution)
elseif what == "due" then
    local found, bytes = {}, 0
    for _, one in ipairs(redis.call("ZRANGEBYSCORE", DUE, "-inf", ARGV[2], "LIMIT", 0, ARGV[4])) do
        local record = redis.call("HGET", RECORDS, one)
        redis.call("ZADD", DUE, ARGV[3], one)
        redis.call("HSET", TAKEN, one, ARGV[3])
        found[#found + 1] = one
        found[#found + 1] = record
        bytes = bytes + (record and #record or 0)
        -- the rest comes with the next look
        if bytes > MOST_BYTES then break end
    end
    return found
elseif what == "done" then
    if redis.call("ZSCORE", DUE, execution) == ARGV[3] then forget(ARGV[4]) end
elseif what == "forget" then
    forget(ARGV[3])
elseif what == "wake-all" then
    local time, woken = redis.call("TIME"), 0
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local found = redis.call("SSCAN", OF .. ARGV[2], ARGV[3], "COUNT", ARGV[4])
    for _, one in ipairs(found[2]) do
        if not goes_on(one) then
            woken = woken + redis.call("ZADD", DUE, "XX", "CH", "LT", now, one)
        end
    end
    return {found[1], woken}
elseif redis.call("ZSCORE", DUE, execution) then
    if not goes_on(execution) then redis.call("ZADD", DUE, ARGV[3], execution) end
    return 1
end
return 0

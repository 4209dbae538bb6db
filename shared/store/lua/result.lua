-- Keep how executions stand, and know each among those of its project.
--
-- ARGV, six for each: project, execution, value, ms to keep, when it was accepted and when it was resumed last (unix ms,
-- 0: never)
--
-- Two may have the same execution for a while, when partitions move, and its record may come again long afterwards: the
-- first end stands, unless the execution was resumed since.
local function has_ended(key, resumed)
    local found = redis.call("GET", key)
    local ended = found and cjson.decode(found).ended
    return ended and ended >= tonumber(resumed)
end

local function keep(at)
    local project, execution, keep_ms = ARGV[at], ARGV[at + 1], ARGV[at + 3]
    local index, key = "weir:executions:" .. project, "weir:execution:" .. project .. ":" .. execution
    if has_ended(key, ARGV[at + 5]) then return end
    redis.call("SET", key, ARGV[at + 2], "PX", keep_ms)
    redis.call("SET", "weir:execution-of:" .. execution, project, "PX", keep_ms)
    redis.call("ZADD", index, "NX", ARGV[at + 4], execution)
    if redis.call("PTTL", index) < tonumber(keep_ms) then
        redis.call("PEXPIRE", index, keep_ms)
    end
    -- the oldest are forgotten with their results; a few at a time are enough
    for _, one in ipairs(redis.call("ZRANGE", index, 0, 1)) do
        if redis.call("EXISTS", "weir:execution:" .. project .. ":" .. one) == 0 then
            redis.call("ZREM", index, one)
        end
    end
end

for at = 1, #ARGV, 6 do keep(at) end

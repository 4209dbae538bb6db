-- Keep how executions stand, and know each among those of its project.
--
-- ARGV, seven for each: project, execution, value, ms to keep, when it was accepted and when it was resumed last (unix
-- ms, 0: never), client
--
-- Two may have the same execution for a while, when partitions move, and its record may come again long afterwards: the
-- first end stands, unless the execution was resumed since. Publishers choose ids: what one client started stands,
-- whatever another one starts under its id, in this project or in another.
local function stands(key, resumed, client)
    local found = redis.call("GET", key)
    if not found then return false end
    local there = cjson.decode(found)
    return there.client ~= client or (there.ended and there.ended >= tonumber(resumed))
end

local function keep(at)
    local project, execution, keep_ms = ARGV[at], ARGV[at + 1], ARGV[at + 3]
    local index, key = "weir:executions:" .. project, "weir:execution:" .. project .. ":" .. execution
    if stands(key, ARGV[at + 5], ARGV[at + 6]) then return end
    redis.call("SET", key, ARGV[at + 2], "PX", keep_ms)
    local of = "weir:execution-of:" .. execution
    if (redis.call("GET", of) or project) == project then redis.call("SET", of, project, "PX", keep_ms) end
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

for at = 1, #ARGV, 7 do keep(at) end

-- Keep how executions stand, and know each among those of its project.
--
-- ARGV, five for each: project, execution, value, ms to keep, when it was accepted (unix ms)
for at = 1, #ARGV, 5 do
    local project, execution, keep_ms = ARGV[at], ARGV[at + 1], ARGV[at + 3]
    local index = "weir:executions:" .. project
    redis.call("SET", "weir:execution:" .. project .. ":" .. execution, ARGV[at + 2], "PX", keep_ms)
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

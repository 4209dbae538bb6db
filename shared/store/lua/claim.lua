-- Claim idempotency keys, one after the other.
-- ARGV: key, value, milliseconds to hold it; and so on. A value is a line, which says whose it is, and the attempt.
-- Returns for each an empty text when the key is claimed now, else what stood there.
local found = {}
for i = 1, #ARGV, 3 do
  local there = redis.call('GET', ARGV[i])
  local whose = ARGV[i + 1]:match('^[^\n]*\n')
  if not there then
    redis.call('SET', ARGV[i], ARGV[i + 1], 'PX', ARGV[i + 2])
  elseif there:sub(1, #whose) == whose then
    -- the same request once more: one of its attempts may run, and none frees the key that did not hear of its claim
    redis.call('SET', ARGV[i], whose, 'PX', ARGV[i + 2])
  end
  found[#found + 1] = there or ''
end
return found

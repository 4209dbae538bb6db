-- Note what finished steps gave.
-- ARGV: key, path, value, ms until the journal is forgotten; again and again.
for i = 1, #ARGV, 4 do
  redis.call('HSET', ARGV[i], ARGV[i + 1], ARGV[i + 2])
  redis.call('PEXPIRE', ARGV[i], ARGV[i + 3])
end
return #ARGV / 4

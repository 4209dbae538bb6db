-- Take what the requests of a batch demand, one after the other: what one takes is gone for the next.
-- shared/decision/amounts.py is the same in Python; a test runs both side by side.
-- ARGV[1]: JSON [[request id, until (unix ms), [[key, kind, limit, width ms, extra, cost, enforced, name], ...]], ...]
-- ARGV[2]: 1 to take, 0 only to look.
-- ARGV[3]: now, unix ms, by the clock of whoever asks: its times are brought into ours; without it both are the same.
-- Kinds: 1 sliding window, 2 token bucket (extra: its size, 0: smooth, one call after the other), 3 calendar period (extra: its end, unix ms), 4 concurrent,
-- 5 once (by one request until extra, unix ms), 6 allowance (key: hash|field, width: calls a minute once it is spent,
-- extra: its end, unix ms); what is spent of it is counted by ledger.lua.
-- Returns JSON [now (unix microseconds), [[[left, ms until more is left, ms to wait or 0], ...], ...]].
-- A request takes all it demands or nothing; a demand that is not enforced never stops it.
-- Calls of a batch demand the same amounts: each is read when it is first demanded, and written once, at the end.
local call, floor, ceil, max, min = redis.call, math.floor, math.ceil, math.max, math.min
local time = call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = floor(now_us / 1000)
local ahead = ARGV[3] and now - tonumber(ARGV[3]) or 0
local PARTS = 20
-- nobody is told of more, nor to wait for longer, ms: cjson writes larger numbers with an exponent, which is no whole number
local FAR = 10000000000000
-- of a microsecond; what is said in milliseconds is not one more for it
local NOISE = 1e-3

-- each: how an amount is read, what is said of it, how it is taken from, and written:
-- read (key, width, extra) -> known.  look (known, limit, width, extra, cost, id) -> fits, left before, ms until more is
-- left, ms to wait.  take (known, limit, width, extra, cost, id, until).  write (known).
local make = {}

make[1] = function()
  local function leaves(known, index) return (index + PARTS + 1) * known.part - now end

  -- what was counted by a clock ahead of this one counts as now: its parts would be in the window until that time comes
  local function bring_back(key, width, part, current, flat)
    local ahead = 0
    for i = 1, #flat, 2 do
      if tonumber(flat[i]) > current then
        ahead = ahead + flat[i + 1]
        call('HDEL', key, flat[i])
      end
    end
    call('HINCRBY', key, current, ahead)
    call('PEXPIRE', key, width + 2 * part)
  end

  -- `flat`: index, count, ... of the parts of the window; `oldest`: the least index that is in the window
  local function read(key, width)
    local part = ceil(width / PARTS)
    local current, flat, used, oldest, gone = floor(now / part), call('HGETALL', key), 0, nil, nil
    for i = 1, #flat, 2 do
      local index = tonumber(flat[i])
      if index > current then
        bring_back(key, width, part, current, flat)
        return read(key, width)
      elseif index < current - PARTS then
        gone = gone or {}
        gone[#gone + 1] = flat[i]
      else
        used = used + flat[i + 1]
        if not oldest or index < oldest then oldest = index end
      end
    end
    return {key = key, width = width, part = part, current = current, flat = flat, used = used, oldest = oldest,
            gone = gone, added = 0, changed = false}
  end

  local function until_it_fits(known, limit, cost)
    local parts, flat, freed = {{known.current, known.added}}, known.flat, 0
    for i = 1, #flat, 2 do
      local index = tonumber(flat[i])
      if index >= known.current - PARTS then parts[#parts + 1] = {index, tonumber(flat[i + 1])} end
    end
    table.sort(parts, function(a, b) return a[1] < b[1] end)
    for _, pair in ipairs(parts) do
      freed = freed + pair[2]
      if known.used - freed + cost <= limit then return leaves(known, pair[1]) end
    end
    return known.width
  end

  local function look(known, limit, width, _, cost)
    local used, oldest = known.used, known.oldest
    local reset = oldest and leaves(known, oldest) or width
    if used + cost <= limit then return true, limit - used, reset, 0 end
    return false, limit - used, reset, until_it_fits(known, limit, cost)
  end

  local function take(known, _, _, _, cost)
    known.used, known.added = known.used + cost, known.added + cost
    known.oldest = min(known.oldest or known.current, known.current)
  end

  local function write(known)
    if known.gone then call('HDEL', known.key, unpack(known.gone)) end
    call('HINCRBY', known.key, known.current, known.added)
    call('PEXPIRE', known.key, known.width + 2 * known.part)
  end

  return read, look, take, write
end

make[2] = function()
  -- "<microseconds>.<picoseconds>": of a limit of bytes many flow in within a microsecond
  local function read(key)
    local text = call('GET', key)
    local whole, rest = string.match(text or '0', '^(%d+)%.?(%d*)$')
    return {key = key, full_at = tonumber(whole), rest = tonumber(rest) or 0, changed = false}
  end

  local function write(known)
    local keep = min(max(1, ceil((known.full_at + 1 - now_us) / 1000)), FAR)
    call('SET', known.key, string.format('%.0f.%06d', known.full_at, known.rest), 'PX', keep)
  end

  -- time in which so much flows in
  local function us_of(cost, limit, width) return cost * (width * 1000) / limit end

  -- what rounding adds up to, and never so much as one call costs
  local function slack_of(limit, width, most)
    return min(max(NOISE, most * 1e-12), us_of(1, limit, width) / 2)
  end

  -- milliseconds, rounded up
  local function ms_of(us) return ceil(max(us - NOISE, 0) / 1000) end

  -- time until it is full again
  local function ahead_of(known) return known.full_at - now_us + known.rest / 1e6 end

  -- it will be full then; rounded up: rounding must not admit more
  local function fill(known, ahead)
    local whole = floor(ahead)
    local rest = ceil((ahead - whole) * 1e6)
    known.full_at, known.rest = now_us + whole, rest
    if rest >= 1e6 then known.full_at, known.rest = now_us + whole + 1, 0 end
  end

  -- what is farther ahead than all that it holds was taken while the limit was another, or by another clock
  local function cut(known, most, slack)
    local ahead = ahead_of(known)
    if ahead > most + slack then
      fill(known, most)
      write(known)
      return most
    end
    return max(ahead, 0)
  end

  -- a call is let in when nothing is ahead of it, and what it costs is how long the next one waits
  local function look_smooth(known, limit, width, cost)
    local most = us_of(limit, limit, width)
    local slack = slack_of(limit, width, most)
    local ahead = cut(known, most, slack)
    local free = ahead <= slack
    local wait = ms_of(free and us_of(cost, limit, width) or ahead)
    if free and cost > limit then wait = width end
    return cost == 0 or (free and cost <= limit), free and 1 or 0, wait, cost > limit and width or wait
  end

  local function look(known, limit, width, size, cost)
    if size == 0 then return look_smooth(known, limit, width, cost) end
    local each, most = us_of(1, limit, width), us_of(size, limit, width)
    local slack = slack_of(limit, width, most)
    local ahead = cut(known, most, slack)
    local after = ahead + us_of(cost, limit, width)
    local left, reset = floor((most - ahead + slack) / each), ms_of(min(each, ahead))
    local wait = min(ms_of(after - most), FAR)
    return after <= most + slack, left, reset, cost > size and width or wait
  end

  local function take(known, limit, width, _, cost)
    fill(known, max(ahead_of(known), 0) + us_of(cost, limit, width))
  end

  return read, look, take, write
end

make[3] = function()
  local function read(key)
    return {key = key, used = tonumber(call('GET', key) or 0), added = 0, ends = 0, changed = false}
  end

  local function look(known, limit, _, ends, cost)
    local used, reset = known.used, max(ends - now, 1)
    return used + cost <= limit, limit - used, reset, reset
  end

  local function take(known, _, _, ends, cost)
    known.used, known.added, known.ends = known.used + cost, known.added + cost, ends
  end

  local function write(known)
    call('INCRBY', known.key, known.added)
    call('PEXPIREAT', known.key, known.ends + 60000)
  end

  return read, look, take, write
end

make[4] = function()
  local function read(key)
    call('ZREMRANGEBYSCORE', key, '-inf', now)
    return {key = key, used = call('ZCARD', key), over = false, changed = false}
  end

  local function look(known, limit, _, _, _, id)
    if known.over then
      -- what was over when it was taken holds nothing for the next one
      call('ZREMRANGEBYSCORE', known.key, '-inf', now)
      known.used, known.over = call('ZCARD', known.key), false
    end
    local used = known.used
    return used < limit or call('ZSCORE', known.key, id), limit - used, 1000, 1000
  end

  local function take(known, _, _, _, _, id, ends)
    known.used, known.over = known.used + call('ZADD', known.key, ends, id), known.over or ends <= now
  end

  local function write(known)
    local last = call('ZRANGE', known.key, -1, -1, 'WITHSCORES')
    if last[2] then call('PEXPIREAT', known.key, tonumber(last[2]) + 1000) end
  end

  return read, look, take, write
end

make[5] = function()
  local function read(key)
    return {key = key, holder = call('GET', key), ends = 0, changed = false}
  end

  local function look(known, _, _, ends, _, id)
    local holder, reset = known.holder, max(ends - now, 1)
    return not holder or holder == id, holder and 0 or 1, reset, reset
  end

  local function take(known, _, _, ends, _, id)
    known.holder, known.ends = id, ends
  end

  local function write(known)
    call('SET', known.key, known.holder, 'PX', max(known.ends - now, 1))
  end

  return read, look, take, write
end

make[6] = function()
  local read_window, look_window, take_window, write_window = make[1]()

  local function read(key)
    local bar = string.find(key, '|', 1, true)
    return {key = key, spent = tonumber(call('HGET', string.sub(key, 1, bar - 1), string.sub(key, bar + 1)) or 0)}
  end

  local function look(known, limit, rate, ends)
    local spent, reset = known.spent, max(ends - now, 1)
    if spent < limit then return true, limit - spent, reset, reset end
    if rate == 0 then return false, 0, reset, reset end
    known.throttle = known.throttle or read_window(known.key, 60000)
    local fits, _, _, wait = look_window(known.throttle, rate, 60000, 0, 1)
    return fits, 0, reset, wait
  end

  local function take(known)
    if known.throttle then take_window(known.throttle, 0, 0, 0, 1) end
  end

  local function write(known)
    if known.throttle then write_window(known.throttle) end
  end

  return read, look, take, write
end

local kinds = {}
local function kind_of(number)
  local kind = kinds[number]
  if not kind then
    kind = {make[number]()}
    kinds[number] = kind
  end
  return kind
end

-- what a request takes off the amount that is answered; of 5 nothing, so that one that has it already is told apart
local function taken(kind, cost)
  if kind >= 5 then return 0 end
  return kind == 4 and 1 or cost
end

-- kinds whose extra is a time
local ENDS = {[3] = true, [5] = true, [6] = true}

-- what is known of each amount by key, and which of them have been taken from, with how they are written
local amounts, changed = {}, {}
local answers, takes, known = {}, ARGV[2] == '1', {}
for number, request in ipairs(cjson.decode(ARGV[1])) do
  local id, ends, demands = request[1], request[2] + ahead, request[3]
  local admitted, answer, fitting = takes, {}, {}
  for index, demand in ipairs(demands) do
    if ENDS[demand[2]] then demand[5] = demand[5] + ahead end
    local key, width, extra = demand[1], demand[4], demand[5]
    local kind, amount = kind_of(demand[2]), amounts[key]
    if not amount then
      amount = kind[1](key, width, extra)
      amounts[key] = amount
    end
    local fits, left, reset, wait = kind[2](amount, demand[3], width, extra, demand[6], id)
    answer[index], known[index], fitting[index] = {left, reset, fits and 0 or max(wait, 1)}, amount, fits
    if not fits and demand[7] then admitted = false end
  end
  for index, demand in ipairs(demands) do
    local one = answer[index]
    if admitted and fitting[index] then
      local amount, cost, kind = known[index], demand[6], kind_of(demand[2])
      kind[3](amount, demand[3], demand[4], demand[5], cost, id, ends)
      if not amount.changed then
        amount.changed = true
        changed[#changed + 1] = {kind[4], amount}
      end
      one[1] = one[1] - taken(demand[2], cost)
    end
    one[1] = min(max(one[1], 0), FAR)
  end
  answers[number] = answer
end
for _, one in ipairs(changed) do one[1](one[2]) end
return string.format('[%.0f,', now_us) .. cjson.encode(answers) .. ']'

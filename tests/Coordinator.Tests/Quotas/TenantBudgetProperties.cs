using System.Collections.Immutable;
using CsCheck;
using Lamina.Coordinator.Quotas;

namespace Lamina.Coordinator.Tests.Quotas;

/// <summary>Whatever is asked in whatever order: no limit is passed, no place is lost, and who is told when to come back is let in then.</summary>
public class TenantBudgetProperties
{
    private const long Minute = 60_000;
    private const long Start = 1_000 * 86_400_000L;

    private static readonly Gen<long?> s_rate = Perhaps(Gen.Long[1, 500]);

    private static readonly Gen<QuotaRules> s_rules =
        from requests in s_rate
        from prompt in s_rate
        from generated in s_rate
        from generatedDay in Perhaps(Gen.Long[100, 3000])
        from places in Perhaps(Gen.Int[1, 6])
        from queue in Perhaps(Gen.Int[0, 4])
        from bytes in Perhaps(Gen.Long[50, 400])
        select new QuotaRules
        {
            RequestsPerMinute = requests, PromptTokensPerMinute = prompt, GeneratedTokensPerMinute = generated, GeneratedTokensPerDay = generatedDay,
            ConcurrentGenerations = places, QueueLength = queue, KvBytes = bytes,
        };

    internal sealed record Action(int Key, RequestCost Cost, long Pause, int Ends, double Part);

    private static readonly Gen<Action> s_action =
        from key in Gen.Int[0, 2]
        from prompt in Gen.Long[0, 200]
        from generated in Gen.Long[1, 300]
        from choices in Gen.Int[1, 3]
        from bytes in Gen.Long[1, 100]
        from pause in Gen.OneOf(Gen.Long[0, 500], Gen.Long[500, 20_000])
        from ends in Gen.Int[0, 3]
        from part in Gen.Double[0, 1]
        select new Action(key, new RequestCost(prompt, generated, choices, bytes), pause, ends, part);

    private static readonly Gen<(QuotaRules Tenant, QuotaRules Key, Action[] Actions)> s_course = Gen.Select(s_rules, s_rules, s_action.Array[1, 60]);

    [Fact]
    public void Budget_InAnyCourse_PassesNoLimitAndLosesNoPlace() => s_course.Sample(
        course =>
        {
            TenantBudget budget = TenantBudget.Start(new TenantQuotas { Tenant = course.Tenant, EachKey = course.Key }, Start);
            var running = new List<Guid>();
            var admitted = new List<(long At, int Key, RequestCost Cost)>();
            long now = Start;
            foreach (Action action in course.Actions)
            {
                now += action.Pause;
                for (int i = 0; i < action.Ends && running.Count > 0; i++)
                {
                    Reservation ends = budget.Running[running[0]];
                    running.RemoveAt(0);
                    budget = budget.Settle(ends.Id, ends.Cost.PromptTokens, (long)(ends.Cost.GeneratedTokens * action.Part), now, out ImmutableArray<Reservation> started);
                    running.AddRange(started.Select(reservation => reservation.Id));
                }

                var id = Guid.NewGuid();
                budget = budget.Ask(id, "a", $"key-{action.Key}", action.Cost, now, out QuotaDecision decision);
                if (decision.Runs)
                {
                    running.Add(id);
                }

                if (decision.Runs || decision.Waits)
                {
                    admitted.Add((now, action.Key, action.Cost));
                }

                Assert.True(decision.Refusal is null == (decision.Runs ^ decision.Waits));
                Check(budget, course.Tenant, [.. running]);
            }

            CheckRequestRate(admitted.Select(one => one.At).ToArray(), course.Tenant.RequestsPerMinute);
            foreach (IGrouping<int, (long At, int Key, RequestCost Cost)> key in admitted.GroupBy(one => one.Key))
            {
                CheckRequestRate(key.Select(one => one.At).ToArray(), course.Key.RequestsPerMinute);
            }

            // When all have ended, nothing is held and nobody waits.
            while (running.Count > 0)
            {
                Reservation ends = budget.Running[running[0]];
                running.RemoveAt(0);
                budget = budget.Settle(ends.Id, 0, 0, now, out ImmutableArray<Reservation> started);
                running.AddRange(started.Select(reservation => reservation.Id));
            }

            Assert.Empty(budget.Waiting);
            Assert.All(budget.Keys.Values.Append(budget.Tenant), scope => Assert.Equal((0, 0L, 0), (scope.Running, scope.KvBytes, scope.Waiting)));
        },
        iter: 3000);

    [Fact]
    public void Refusal_ByARate_SaysExactlyWhenTheRequestFits() => s_course.Sample(
        course =>
        {
            // Without limits of places, so that nothing waits.
            QuotaRules Rates(QuotaRules rules) => rules with { ConcurrentGenerations = null, KvBytes = null };
            TenantBudget budget = TenantBudget.Start(new TenantQuotas { Tenant = Rates(course.Tenant), EachKey = Rates(course.Key) }, Start);
            long now = Start;
            foreach (Action action in course.Actions)
            {
                now += action.Pause;
                string key = $"key-{action.Key}";
                TenantBudget after = budget.Ask(Guid.NewGuid(), "a", key, action.Cost, now, out QuotaDecision decision);
                if (decision.Refusal is not null)
                {
                    Assert.Same(budget, after);
                    Assert.True(decision.RetryMilliseconds > 0);
                    budget.Ask(Guid.NewGuid(), "a", key, action.Cost, now + decision.RetryMilliseconds, out QuotaDecision later);
                    budget.Ask(Guid.NewGuid(), "a", key, action.Cost, now + decision.RetryMilliseconds - 1, out QuotaDecision tooEarly);
                    Assert.True(later.Runs);
                    Assert.NotNull(tooEarly.Refusal);
                }

                budget = after;
            }
        },
        iter: 2000);

    [Fact]
    public void Look_ThatRefuses_RefusesWhateverIsAskedAndSaysWhenItNoLongerWould() => s_course.Sample(
        course =>
        {
            TenantBudget budget = TenantBudget.Start(new TenantQuotas { Tenant = course.Tenant, EachKey = course.Key }, Start);
            long now = Start;
            foreach (Action action in course.Actions)
            {
                now += action.Pause;
                string key = $"key-{action.Key}";
                QuotaDecision? look = budget.Look(key, now);
                TenantBudget after = budget.Ask(Guid.NewGuid(), "a", key, action.Cost, now, out QuotaDecision decision);
                if (look is { } refused)
                {
                    Assert.NotNull(decision.Refusal);
                    Assert.InRange(refused.RetryMilliseconds, 1, decision.RetryMilliseconds);
                    Assert.NotNull(budget.Look(key, now + refused.RetryMilliseconds - 1));
                    Assert.Null(budget.Look(key, now + refused.RetryMilliseconds));
                }

                Assert.False(decision.Refusal is QuotaReason.RequestsPerMinute or QuotaReason.RequestsPerDay && look is null);
                budget = after;
            }
        },
        iter: 2000);

    /// <summary>
    /// Keys that ask again as soon as one of theirs has ended, some for one place and some for many: each of those that wait has its turn. A key whose request waits has none running, so of
    /// each other key at most one goes before it, and places are kept for it until there are enough.
    /// </summary>
    [Fact]
    public void Waiting_BesideKeysThatNeverStopAsking_HasItsTurn() =>
        Gen.Select(Gen.Int[1, 6], Gen.Int[1, 6].Array[2, 4], Gen.Int[1, 6], Gen.Int[0, 1000].Array[60]).Sample(
            (places, sizes, size, ends) =>
            {
                TenantBudget budget = TenantBudget.Start(new TenantQuotas { Tenant = new QuotaRules { ConcurrentGenerations = places } }, Start);
                void Ask(int key) => budget = budget.Ask(Guid.NewGuid(), "a", $"key-{key}", new RequestCost(1, 1, Math.Min(sizes[key], places), 1), Start, out _);
                for (int i = 0; i < 4 * sizes.Length; i++)
                {
                    Ask(i % sizes.Length);
                }

                var late = Guid.NewGuid();
                budget = budget.Ask(late, "a", "late", new RequestCost(1, 1, Math.Min(size, places), 1), Start, out _);
                int most = (sizes.Length + 1) * (places + 1);
                for (int ended = 0; !budget.Running.ContainsKey(late); ended++)
                {
                    Assert.True(ended < most, $"{ended} requests ended, and it still waits");
                    Reservation[] running = [.. budget.Running.Values.OrderBy(one => one.Key, StringComparer.Ordinal)];
                    Reservation next = running[ends[ended % ends.Length] % running.Length];
                    budget = budget.Settle(next.Id, 1, 1, Start, out _);
                    Ask(int.Parse(next.Key["key-".Length..], System.Globalization.CultureInfo.InvariantCulture));
                }
            },
            iter: 2000);

    /// <summary>Days of one budget, with requests of any size that give back any part a day late or at once: over all days no more is used than their limits and what is still to be paid.</summary>
    [Fact]
    public void Days_OfRequestsOfAnySize_UseNoMoreInAllThanTheirLimits() =>
        Gen.Select(Gen.Long[1, 50], Gen.Select(Gen.Long[1, 300], Gen.Double[0, 1], Gen.Int[0, 1], Gen.Int[0, 4]).Array[1, 40]).Sample(
            (limit, requests) =>
            {
                const long Day = 24 * 60 * Minute;
                DayBudget budget = DayBudget.Fresh(limit, Start);
                (long now, long used, long days) = (Start, 0, 1);
                foreach ((long amount, double part, int late, int pause) in requests)
                {
                    void Go(int more)
                    {
                        now += more * Day;
                        days += more;
                        budget = budget.AtTime(now);
                    }

                    Go(pause);
                    if (budget.WaitFor(amount, now) is > 0 and long wait)
                    {
                        Assert.Equal(0, budget.AtTime(now + wait).WaitFor(amount, now + wait));
                        Assert.NotEqual(0, budget.AtTime(now + wait - 1).WaitFor(amount, now + wait - 1));
                        continue;
                    }

                    (long taken, long kept) = (budget.Day, (long)(amount * part));
                    budget = budget.Take(amount);
                    Go(late);
                    budget = budget.Return(amount - kept, taken);
                    used += kept;
                    Assert.InRange(budget.Used, 0, long.MaxValue);
                    Assert.InRange(used, 0, (days * limit) + budget.Over);
                }
            },
            iter: 5000);

    /// <summary>What is forgotten of keys comes back the same: the same course, beside keys that come once and never again, is decided the same.</summary>
    [Fact]
    public void Keys_ThatCameOnce_AreForgottenAndNothingElseChanges() => s_course.Sample(
        course =>
        {
            var quotas = new TenantQuotas { Tenant = course.Tenant with { RequestsPerMinute = null, QueueLength = null, ConcurrentGenerations = null, KvBytes = null }, EachKey = course.Key };
            TenantBudget alone = TenantBudget.Start(quotas, Start), crowded = alone;
            long now = Start;
            int most = 0, number = 0;
            foreach (Action action in course.Actions)
            {
                now += action.Pause;
                var id = Guid.NewGuid();
                alone = alone.Ask(id, "a", $"key-{action.Key}", action.Cost, now, out QuotaDecision expected);
                crowded = crowded.Ask(id, "a", $"key-{action.Key}", action.Cost, now, out QuotaDecision decision);
                Assert.Equal(expected, decision);
                for (int i = 0; i < 20; i++)
                {
                    var once = Guid.NewGuid();
                    crowded = crowded.Ask(once, "a", $"once-{number++}", default, now, out _).Settle(once, 0, 0, now, out _);
                }

                most = Math.Max(most, crowded.Keys.Count);
            }

            // Those of the last minute stay where a rate of theirs is not whole again; without one, none does.
            Assert.True(course.Key.RequestsPerMinute is not null || most <= 300, $"{most} keys are known after {number}");
        },
        iter: 60);

    private static Gen<T?> Perhaps<T>(Gen<T> value)
        where T : struct => Gen.Select(Gen.Bool, value).Select(pair => pair.Item1 ? pair.Item2 : (T?)null);

    private static void Check(TenantBudget budget, QuotaRules tenant, Guid[] running)
    {
        Assert.Equal(running.Order(), budget.Running.Keys.Order());
        Assert.Equal(budget.Running.Values.Sum(one => one.Cost.Generations), budget.Tenant.Running);
        Assert.Equal(budget.Running.Values.Sum(one => one.Cost.KvBytes), budget.Tenant.KvBytes);
        Assert.Equal(budget.Waiting.Count, budget.Tenant.Waiting);
        Assert.True(budget.Tenant.Running <= Math.Max(tenant.ConcurrentGenerations ?? int.MaxValue, 3) && budget.Tenant.Waiting <= (tenant.QueueLength ?? int.MaxValue));
        Assert.True(budget.Tenant.Running <= tenant.ConcurrentGenerations || tenant.ConcurrentGenerations is null || budget.Running.Count == 1, "more run than may, and not as the only one");
        Assert.True(budget.Tenant.KvBytes <= tenant.KvBytes || tenant.KvBytes is null || budget.Running.Count == 1, "more cache is held than may be, and not by the only one");
    }

    /// <summary>In any stretch of time at most what was saved up, which is a minute's, and what came in meanwhile.</summary>
    private static void CheckRequestRate(long[] times, long? perMinute)
    {
        if (perMinute is long limit)
        {
            for (int first = 0; first < times.Length; first++)
            {
                for (int last = first; last < times.Length; last++)
                {
                    double allowed = limit + ((times[last] - times[first]) * limit / (double)Minute);
                    Assert.True(last - first + 1 <= allowed + 1e-6, $"{last - first + 1} requests in {times[last] - times[first]} ms at {limit} a minute");
                }
            }
        }
    }
}

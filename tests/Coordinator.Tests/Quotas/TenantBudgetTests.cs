using System.Collections.Immutable;
using Lamina.Coordinator.Quotas;

namespace Lamina.Coordinator.Tests.Quotas;

/// <summary>Single decisions, worked out by hand.</summary>
public class TenantBudgetTests
{
    private const long Noon = (20_000 * 86_400_000L) + (12 * 3600_000);

    [Fact]
    public void Requests_OfTenPerMinute_AreTenAtOnceAndThenOneEverySixSeconds()
    {
        TenantBudget budget = Tenant(new QuotaRules { RequestsPerMinute = 10 });
        for (int i = 0; i < 10; i++)
        {
            budget = Ask(budget, Noon, out QuotaDecision admitted);
            Assert.True(admitted.Runs);
        }

        Ask(budget, Noon, out QuotaDecision refused);
        Assert.Equal(QuotaDecision.Refuse(QuotaReason.RequestsPerMinute, 6000), refused);
        Ask(budget, Noon + 5999, out QuotaDecision early);
        Assert.Equal(1, early.RetryMilliseconds);
        Ask(budget, Noon + 6000, out QuotaDecision later);
        Assert.True(later.Runs);
    }

    [Fact]
    public void GeneratedTokens_ThatWereReservedAndNotUsed_AreGivenBack()
    {
        TenantBudget budget = Tenant(new QuotaRules { GeneratedTokensPerMinute = 600 });
        var id = Guid.NewGuid();
        budget = budget.Ask(id, "a", "k", new RequestCost(10, 600, 1, 1), Noon, out _);
        Ask(budget, Noon, out QuotaDecision refused, generated: 100);

        // 100 tokens come in at 10 a second.
        Assert.Equal(QuotaDecision.Refuse(QuotaReason.GeneratedTokensPerMinute, 10_000), refused);
        budget = budget.Settle(id, 10, 50, Noon, out _);
        Ask(budget, Noon, out QuotaDecision now, generated: 550);
        Assert.True(now.Runs);
    }

    [Fact]
    public void Request_LargerThanAMinutesTokens_RunsOnAFullBudgetAndLeavesADebt()
    {
        TenantBudget budget = Tenant(new QuotaRules { GeneratedTokensPerMinute = 60 });
        var id = Guid.NewGuid();
        budget = budget.Ask(id, "a", "k", new RequestCost(1, 180, 1, 1), Noon, out QuotaDecision admitted);
        Assert.True(admitted.Runs);
        budget = budget.Settle(id, 1, 180, Noon + 1000, out _);

        // 120 below zero, of which one second has brought back 1: at 1 a second one token is there 120 seconds later.
        Ask(budget, Noon + 1000, out QuotaDecision refused, generated: 1);
        Assert.Equal(120_000, refused.RetryMilliseconds);
    }

    [Fact]
    public void Day_UsedUp_RefusesUntilMidnightOfUtc()
    {
        TenantBudget budget = TenantBudget.Start(
            new TenantQuotas { Tenant = new QuotaRules { PromptTokensPerDay = 1000 } }, Noon, ImmutableDictionary<string, DayUse>.Empty.Add("k", new DayUse(3, 995, 0)));
        Ask(budget, Noon, out QuotaDecision refused);
        Assert.Equal(QuotaDecision.Refuse(QuotaReason.PromptTokensPerDay, 12 * 3600_000), refused);
        Ask(budget, Noon + (12 * 3600_000), out QuotaDecision tomorrow);
        Assert.True(tomorrow.Runs);
    }

    /// <summary>Of 1,000 a day: what one request took beyond them is paid by the days that follow, and what it gives back, on whichever day, is not.</summary>
    [Fact]
    public void Day_OfARequestLargerThanItsLimit_IsPaidByTheDaysAfterIt()
    {
        const long Day = 86_400_000;
        TenantBudget budget = Tenant(new QuotaRules { GeneratedTokensPerDay = 1000 });
        var id = Guid.NewGuid();
        budget = budget.Ask(id, "a", "k", new RequestCost(1, 100_000, 1, 1), Noon, out QuotaDecision admitted);
        Assert.True(admitted.Runs);

        // It runs over midnight and gives back all but 3,400, of which three days can pay 3,000 and the fourth has 600 left.
        budget = budget.Settle(id, 1, 3400, Noon + Day, out _);
        long today = Noon - (12 * 3600_000);
        Ask(budget, Noon + Day, out QuotaDecision refused, generated: 1);
        Assert.Equal(QuotaDecision.Refuse(QuotaReason.GeneratedTokensPerDay, today + (3 * Day) - (Noon + Day)), refused);
        Ask(budget, Noon + Day, out QuotaDecision larger, generated: 601);
        Assert.Equal(today + (4 * Day) - (Noon + Day), larger.RetryMilliseconds);
        Ask(budget, Noon + (3 * Day), out QuotaDecision fourth, generated: 600);
        Ask(budget, Noon + (3 * Day), out QuotaDecision beyond, generated: 601);
        Assert.Equal((true, QuotaReason.GeneratedTokensPerDay), (fourth.Runs, beyond.Refusal));
    }

    [Fact]
    public void Day_WhoseLimitIsLowered_LeavesNothingToTheNext()
    {
        TenantBudget budget = Tenant(new QuotaRules { GeneratedTokensPerDay = 1000 });
        budget = Ask(budget, Noon, out _, generated: 900).WithQuotas(new TenantQuotas { Tenant = new QuotaRules { GeneratedTokensPerDay = 10 } }, Noon);
        Ask(budget, Noon, out QuotaDecision today);
        Ask(budget, Noon + (12 * 3600_000), out QuotaDecision tomorrow, generated: 10);
        Assert.Equal((QuotaReason.GeneratedTokensPerDay, true), (today.Refusal, tomorrow.Runs));
    }

    [Fact]
    public void Request_LargerThanALimitByItself_IsToldWhichAndWhatItNeeds()
    {
        var rules = new QuotaRules { PromptTokensPerDay = 10, GeneratedTokensPerDay = 20, ConcurrentGenerations = 2, KvBytes = 30, PromptTokensPerMinute = 1, GeneratedTokensPerMinute = 1 };
        Assert.Null(rules.Exceeded(new RequestCost(10, 20, 2, 30)));
        Assert.Equal((QuotaReason.PromptTokensPerDay, 10, 11), rules.Exceeded(new RequestCost(11, 20, 2, 30)));
        Assert.Equal((QuotaReason.GeneratedTokensPerDay, 20, 21), rules.Exceeded(new RequestCost(10, 21, 2, 30)));
        Assert.Equal((QuotaReason.ConcurrentGenerations, 2, 3), rules.Exceeded(new RequestCost(10, 20, 3, 30)));
        Assert.Equal((QuotaReason.KvBytes, 30, 31), rules.Exceeded(new RequestCost(10, 20, 2, 31)));
        Assert.Null(QuotaRules.Unlimited.Exceeded(new RequestCost(long.MaxValue, long.MaxValue, int.MaxValue, long.MaxValue)));
    }

    [Fact]
    public void Keys_ShareTheTenantsBudgetAndHaveTheirOwn()
    {
        var quotas = new TenantQuotas
        {
            Tenant = new QuotaRules { RequestsPerMinute = 3 },
            EachKey = new QuotaRules { RequestsPerMinute = 2 },
            Keys = new Dictionary<string, QuotaRules> { ["small"] = new() { RequestsPerMinute = 1 } },
        };
        TenantBudget budget = TenantBudget.Start(quotas, Noon);
        bool Runs(string key)
        {
            budget = budget.Ask(Guid.NewGuid(), "a", key, new RequestCost(1, 1, 1, 1), Noon, out QuotaDecision decision);
            return decision.Runs;
        }

        Assert.Equal([true, false, true, true, false], [Runs("small"), Runs("small"), Runs("large"), Runs("other"), Runs("large")]);
    }

    [Fact]
    public void Places_UsedUp_LetAFewWaitAndRefuseTheRest()
    {
        TenantBudget budget = Tenant(new QuotaRules { ConcurrentGenerations = 1, QueueLength = 1 });
        (Guid first, Guid second) = (Guid.NewGuid(), Guid.NewGuid());
        budget = budget.Ask(first, "a", "k", new RequestCost(1, 1, 1, 1), Noon, out QuotaDecision runs);
        budget = budget.Ask(second, "a", "k", new RequestCost(1, 1, 1, 1), Noon, out QuotaDecision waits);
        Ask(budget, Noon, out QuotaDecision refused);
        Assert.True(runs.Runs && waits.Waits);

        // Two are ahead of it in one place, and the first estimate of a request is a second.
        Assert.Equal(QuotaDecision.Refuse(QuotaReason.ConcurrentGenerations, 2000), refused);
        budget.Settle(first, 1, 1, Noon + 50, out ImmutableArray<Reservation> started);
        Assert.Equal(second, Assert.Single(started).Id);
    }

    [Fact]
    public void Place_ThatComesFree_GoesToTheKeyWithFewestRunning()
    {
        TenantBudget budget = Tenant(new QuotaRules { ConcurrentGenerations = 2 });
        var cost = new RequestCost(1, 1, 1, 1);
        Guid[] greedy = [Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid()];
        foreach (Guid id in greedy)
        {
            budget = budget.Ask(id, "a", "greedy", cost, Noon, out _);
        }

        var late = Guid.NewGuid();
        budget = budget.Ask(late, "a", "modest", cost, Noon, out QuotaDecision waits);
        Assert.True(waits.Waits);
        budget.Settle(greedy[0], 1, 1, Noon, out ImmutableArray<Reservation> started);
        Assert.Equal(late, Assert.Single(started).Id);
    }

    [Fact]
    public void Place_OfASingleOne_GoesToTheKeysInTurns()
    {
        TenantBudget budget = Tenant(new QuotaRules { ConcurrentGenerations = 1 });
        void Ask(string key) => budget = budget.Ask(Guid.NewGuid(), "a", key, new RequestCost(1, 1, 1, 1), Noon, out _);
        foreach (string key in new[] { "greedy", "greedy", "greedy", "greedy", "modest", "modest", "late" })
        {
            Ask(key);
        }

        var order = new List<string>();
        while (budget.Running.Count > 0)
        {
            Reservation running = Assert.Single(budget.Running.Values);
            order.Add(running.Key);
            budget = budget.Settle(running.Id, 1, 1, Noon, out _);
        }

        Assert.Equal(["greedy", "greedy", "modest", "late", "greedy", "modest", "greedy"], order);
    }

    /// <summary>Two places are kept for the one that needs two, once it is its turn.</summary>
    [Fact]
    public void Place_ThatComesFree_IsKeptForARequestThatNeedsTwo()
    {
        TenantBudget budget = Tenant(new QuotaRules { ConcurrentGenerations = 2 });
        Guid[] small = [Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid()];
        var large = Guid.NewGuid();
        bool Runs(Guid id, string key, int generations)
        {
            budget = budget.Ask(id, "a", key, new RequestCost(1, 1, generations, 1), Noon, out QuotaDecision decision);
            return decision.Runs;
        }

        Assert.Equal([true, true, false], [Runs(small[0], "small", 1), Runs(small[1], "small", 1), Runs(large, "large", 2)]);
        budget = budget.Settle(small[0], 1, 1, Noon, out _);
        Assert.False(Runs(small[2], "small", 1));
        budget = budget.Settle(small[1], 1, 1, Noon, out ImmutableArray<Reservation> started);
        Assert.Equal(large, Assert.Single(started).Id);
    }

    [Fact]
    public void Coordinator_ThatIsGone_GivesItsPlacesBackAndKeepsItsTokensUsed()
    {
        TenantBudget budget = Tenant(new QuotaRules { ConcurrentGenerations = 1, GeneratedTokensPerMinute = 600 });
        budget = budget.Ask(Guid.NewGuid(), "dead", "k", new RequestCost(1, 500, 1, 1), Noon, out _);
        budget = budget.DropHolder("dead", Noon, out _);
        Ask(budget, Noon, out QuotaDecision small, generated: 100);
        Ask(budget, Noon, out QuotaDecision large, generated: 101);
        Assert.True(small.Runs);
        Assert.Equal(QuotaReason.GeneratedTokensPerMinute, large.Refusal);
    }

    [Fact]
    public void Rules_ThatChange_KeepWhatWasUsed()
    {
        TenantBudget budget = Tenant(new QuotaRules { RequestsPerMinute = 10 });
        for (int i = 0; i < 8; i++)
        {
            budget = Ask(budget, Noon, out _);
        }

        budget = budget.WithQuotas(new TenantQuotas { Tenant = new QuotaRules { RequestsPerMinute = 9 } }, Noon);
        budget = Ask(budget, Noon, out QuotaDecision ninth);
        Ask(budget, Noon, out QuotaDecision tenth);
        Assert.True(ninth.Runs);
        Assert.Equal(QuotaReason.RequestsPerMinute, tenth.Refusal);
    }

    [Fact]
    public void Limits_ToldToTheCaller_AreTheTightest()
    {
        TenantBudget budget = TenantBudget.Start(
            new TenantQuotas
            {
                Tenant = new QuotaRules { RequestsPerMinute = 100, PromptTokensPerMinute = 10_000 },
                EachKey = new QuotaRules { RequestsPerMinute = 20, GeneratedTokensPerMinute = 1000 },
            },
            Noon);
        budget = budget.Ask(Guid.NewGuid(), "a", "k", new RequestCost(100, 400, 1, 1), Noon, out _);
        Assert.Equal(
            new RateLimits(new RateLimit(20, 19, TimeSpan.FromSeconds(3)), new RateLimit(1000, 600, TimeSpan.FromSeconds(24))), RateLimits.Of(budget, "k", Noon));
    }

    [Theory]
    [InlineData(20, "20ms")]
    [InlineData(1000, "1s")]
    [InlineData(1500, "1.5s")]
    [InlineData(360_000, "6m0s")]
    [InlineData(43_200_000, "12h0m0s")]
    public void Reset_IsWrittenAsOpenAiDoes(long milliseconds, string expected) => Assert.Equal(expected, RateLimits.Duration(TimeSpan.FromMilliseconds(milliseconds)));

    private static TenantBudget Tenant(QuotaRules rules) => TenantBudget.Start(new TenantQuotas { Tenant = rules }, Noon);

    private static TenantBudget Ask(TenantBudget budget, long now, out QuotaDecision decision, long generated = 1) =>
        budget.Ask(Guid.NewGuid(), "a", "k", new RequestCost(10, generated, 1, 1), now, out decision);
}

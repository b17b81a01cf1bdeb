using System.Globalization;
using System.Text;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Quotas;
using Lamina.Coordinator.State;
using Lamina.Coordinator.Tests.Support;
using Microsoft.EntityFrameworkCore;

namespace Lamina.Coordinator.Tests.Quotas;

/// <summary>A running coordinator that finds in the database what it cannot read hears of suspensions all the same.</summary>
public class QuotaControlTests(TwoTenants tenants) : IClassFixture<TwoTenants>
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(120);

    private QuotaControl Control => tenants.Host.Quotas;

    /// <summary>Rules for a slip of the pen would limit nobody, and say nothing.</summary>
    [Fact]
    public async Task Rules_OfAnUnknownTenantOrKey_AreRefusedAndNothingIsKept()
    {
        var rules = new QuotaRules { RequestsPerMinute = 1 };
        NewKey alphas = await tenants.CreateAsync(TestState.Alpha, KeyScopes.Inference);
        foreach ((string tenant, string key, string problem) in new[]
        {
            ("gamma", QuotaRow.WholeTenant, "there is no tenant gamma"), ("alpha", "0123456789ab", "tenant alpha has no key 0123456789ab"), ("beta", alphas.Key.Id, $"tenant beta has no key {alphas.Key.Id}"),
        })
        {
            AccessChangeException refused = await Assert.ThrowsAsync<AccessChangeException>(() => Control.Quotas!.SetAsync(new TenantId(tenant), key, rules, CancellationToken.None));
            Assert.Equal((problem, true), (refused.Message, refused.IsNotFound));
            Assert.False(await tenants.Host.Access!.State.RunAsync(context => context.Quotas.AnyAsync(row => row.Tenant == tenant && row.Key == key), CancellationToken.None));
        }

        foreach (string key in new[] { alphas.Key.Id, "oidc:somebody", QuotaRow.EachKey })
        {
            await Control.Quotas!.SetAsync(TestState.Alpha, key, rules, CancellationToken.None);
            await Control.Quotas.SetAsync(TestState.Alpha, key, null, CancellationToken.None);
        }
    }

    [Fact]
    public async Task Watch_RowsOfANewerCoordinator_KeepsTheLastRulesAndHearsOfSuspensions()
    {
        var seven = new QuotaRules { RequestsPerMinute = 7 };
        await Control.Quotas!.SetAsync(TestState.Beta, QuotaRow.WholeTenant, seven, CancellationToken.None);
        await Control.RefreshAsync(CancellationToken.None);
        NewKey first = await tenants.CreateAsync(TestState.Alpha, KeyScopes.Inference), second = await tenants.CreateAsync(TestState.Alpha, KeyScopes.Inference);
        await ChangeAsync(async context =>
        {
            (await context.Quotas.SingleAsync(row => row.Tenant == "beta")).Rules = """{"requestsPerMinute":9,"imagesPerDay":3}""";
            context.Quotas.Add(new QuotaRow { Tenant = "alpha", Key = QuotaRow.WholeTenant, Rules = "no rules" });
            context.Suspensions.Add(new SuspensionRow { Kind = "Adapter", Name = "support", Tenant = "alpha", Reason = "", Since = 1 });

            // Whose key it is and since when cannot be read; what it names can, and that decides.
            context.Suspensions.Add(new SuspensionRow { Kind = "Key", Name = first.Key.Id, Tenant = "?", Reason = "", Since = long.MaxValue, ImposedBy = "?" });
        });

        await HearsOfAsync(first);

        // The rules come after the suspensions; whoever may refresh next finds them taken over.
        await Control.RefreshAsync(CancellationToken.None);
        Assert.Equal((7L, null), (Control.Desk.RulesOf(TestState.Beta).Tenant.RequestsPerMinute, Control.Desk.RulesOf(TestState.Alpha).Tenant.RequestsPerMinute));
        await Control.Suspensions!.SuspendAsync(new Suspension(SuspensionKind.Key, second.Key.Id, null, "", DateTimeOffset.UtcNow), CancellationToken.None);
        await HearsOfAsync(second);
        await Assert.ThrowsAsync<InvalidDataException>(() => Control.Quotas!.ReadAsync(CancellationToken.None));

        Suspension odd = Assert.Single(await Control.Suspensions!.ListAsync(CancellationToken.None), one => one.Name == first.Key.Id);
        Assert.Equal((null, SuspendedBy.Operator), (odd.Tenant, odd.By));
    }

    [Fact]
    public async Task Watch_AfterAnythingWentWrong_GoesOn()
    {
        NewKey key = await tenants.CreateAsync(TestState.Alpha, KeyScopes.Inference);
        await tenants.Host.Access!.State.RunAsync(
            context => context.Facts.Where(fact => fact.Name == ControlChange.Version).ExecuteUpdateAsync(set => set.SetProperty(fact => fact.Value, "no number")), CancellationToken.None);
        await EventuallyAsync(() => Control.Age > TimeSpan.FromSeconds(1));
        Assert.InRange(await AgeMetricAsync(), 1, 1000);

        await tenants.Host.Access!.State.RunAsync(
            context => context.Facts.Where(fact => fact.Name == ControlChange.Version).ExecuteUpdateAsync(set => set.SetProperty(fact => fact.Value, "1000")), CancellationToken.None);
        await Control.Suspensions!.SuspendAsync(new Suspension(SuspensionKind.Key, key.Key.Id, null, "", DateTimeOffset.UtcNow), CancellationToken.None);
        await HearsOfAsync(key);
        await EventuallyAsync(() => Control.Age < TimeSpan.FromSeconds(1));
    }

    private async Task<double> AgeMetricAsync()
    {
        using var text = new MemoryStream();
        await tenants.Host.Metrics.CollectAndExportAsTextAsync(text);
        string line = Encoding.UTF8.GetString(text.ToArray()).Split('\n').Single(line => line.StartsWith("lamina_control_age_seconds ", StringComparison.Ordinal));
        return double.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture);
    }

    private Task ChangeAsync(Func<StateContext, Task> change) => ControlChange.RunAsync(
        tenants.Host.Access!.State,
        async context =>
        {
            await change(context);
            return true;
        },
        CancellationToken.None);

    /// <summary>By the watch alone: nothing here asks for it.</summary>
    private Task HearsOfAsync(NewKey key) => EventuallyAsync(() => Control.Running.Suspensions.Of(TestState.Alpha, key.Key.Id, null) is not null);

    private static async Task EventuallyAsync(Func<bool> done)
    {
        using var deadline = new CancellationTokenSource(s_limit);
        while (!done())
        {
            await Task.Delay(10, deadline.Token);
        }
    }
}

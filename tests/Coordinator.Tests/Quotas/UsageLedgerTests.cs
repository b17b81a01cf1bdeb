using System.Diagnostics;
using CsCheck;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Quotas;
using Lamina.Coordinator.State;
using Microsoft.Extensions.Logging.Abstractions;
using Prometheus;

namespace Lamina.Coordinator.Tests.Quotas;

/// <summary>The ledger on a real database and a real slot file. A crash is what it is to the file: the process' memory is gone, the pages stay.</summary>
public sealed class UsageLedgerTests : IDisposable
{
    private static readonly TenantId s_tenant = new("acme");

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-usage-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Request_ThatEnded_IsInTheDatabaseOnce()
    {
        StateDatabase state = await OpenStateAsync();
        await using (UsageLedger ledger = await OpenAsync(state))
        {
            Receipt receipt = ledger.Begin(Guid.NewGuid(), Guid.Empty, s_tenant, "key", "m", 7)!;
            receipt.Sending(0, 3);
            receipt.Sending(3, 5);
            receipt.Sending(0, 3);
            Assert.Equal((1, 7, 5), await SumAsync(ledger));
            receipt.Close(UsageOutcome.Completed);
            receipt.Close(UsageOutcome.Failed);
            await ledger.FlushAsync(default);
            Assert.Equal((1, 7, 5), await SumAsync(ledger));
        }

        await using UsageLedger again = await OpenAsync(state);
        Assert.Equal((1, 7, 5), await SumAsync(again));
    }

    [Fact]
    public async Task Request_ThatHandedOutNothing_IsNotCharged()
    {
        await using UsageLedger ledger = await OpenAsync(await OpenStateAsync());
        ledger.Begin(Guid.NewGuid(), Guid.Empty, s_tenant, "key", "m", 7)!.Close(UsageOutcome.Failed);
        await ledger.FlushAsync(default);
        Assert.Equal((0, 0, 0), await SumAsync(ledger));
    }

    [Fact]
    public async Task Request_InterruptedAndRepeated_IsChargedOnceForWhatItGotInAll()
    {
        StateDatabase state = await OpenStateAsync();
        var retry = Guid.NewGuid();
        string crashed = await CrashAsync(state, retry, sent: 4);
        await using UsageLedger ledger = await OpenAsync(state, crashed);
        Assert.Equal((1, 7, 4), await SumAsync(ledger));

        // The client has the first three tokens, the fourth was on its way: it is sent again, and not charged again.
        Receipt receipt = ledger.Begin(Guid.NewGuid(), retry, s_tenant, "key", "m", 7)!;
        receipt.Sending(3, 4);
        Assert.Equal((1, 7, 4), await SumAsync(ledger));
        receipt.Sending(4, 9);
        Assert.Equal((1, 7, 9), await SumAsync(ledger));
        receipt.Close(UsageOutcome.Completed);
        await ledger.FlushAsync(default);
        Assert.Equal((1, 7, 9), await SumAsync(ledger));

        // A third time it is a new request.
        Receipt another = ledger.Begin(Guid.NewGuid(), retry, s_tenant, "key", "m", 7)!;
        another.Sending(0, 1);
        Assert.Equal((2, 14, 10), await SumAsync(ledger));
        another.Close(UsageOutcome.Completed);
    }

    /// <summary>A client that had the first tokens from elsewhere and goes on here is charged from there on, also when this coordinator dies, too.</summary>
    [Fact]
    public async Task Request_ThatBeganInItsMiddleAndWasInterrupted_IsChargedForNoTokenTwice()
    {
        StateDatabase state = await OpenStateAsync();
        var retry = Guid.NewGuid();
        string crashed = await CrashAsync(state, retry, sent: 4, first: 10);
        await using UsageLedger ledger = await OpenAsync(state, crashed);
        Assert.Equal((1, 7, 4), await SumAsync(ledger));
        Receipt receipt = ledger.Begin(Guid.NewGuid(), retry, s_tenant, "key", "m", 7)!;
        receipt.Sending(13, 14);
        Assert.Equal((1, 7, 4), await SumAsync(ledger));
        receipt.Sending(14, 16);
        Assert.Equal((1, 7, 6), await SumAsync(ledger));
        receipt.Close(UsageOutcome.Completed);
        await ledger.FlushAsync(default);
        Assert.Equal((1, 7, 6), await SumAsync(ledger));
    }

    /// <summary>The last of an answer was handed to the connection, and the process died before it left: the row had ended, and still nothing is charged twice.</summary>
    [Fact]
    public async Task Request_ThatEndedRightBeforeACrash_IsNotChargedAgainWhenRepeated()
    {
        StateDatabase state = await OpenStateAsync();
        var retry = Guid.NewGuid();
        await using (UsageLedger ended = await OpenAsync(state))
        {
            Receipt whole = ended.Begin(Guid.NewGuid(), retry, s_tenant, "key", "m", 7)!;
            whole.Sending(0, 5);
            whole.Close(UsageOutcome.Completed);
        }

        await using UsageLedger ledger = await OpenAsync(state);
        Receipt repeated = ledger.Begin(Guid.NewGuid(), retry, s_tenant, "key", "m", 7)!;
        repeated.Sending(4, 5);
        repeated.Close(UsageOutcome.Completed);
        await ledger.FlushAsync(default);
        Assert.Equal((1, 7, 5), await SumAsync(ledger));
    }

    [Fact]
    public async Task Request_WhoseAnswerCouldNotBeKept_IsAsItWasBefore()
    {
        StateDatabase state = await OpenStateAsync();
        await using UsageLedger ledger = await OpenAsync(state);
        var retry = Guid.NewGuid();
        Receipt lost = ledger.Begin(Guid.NewGuid(), retry, s_tenant, "key", "m", 7)!;
        lost.Sending(0, 5);
        Assert.Equal((1, 7, 5), await SumAsync(ledger));
        lost.Retract();
        await ledger.FlushAsync(default);
        Assert.Equal((0, 0, 0), await SumAsync(ledger));

        Receipt again = ledger.Begin(Guid.NewGuid(), retry, s_tenant, "key", "m", 7)!;
        again.Sending(0, 5);
        again.Close(UsageOutcome.Completed);
        await ledger.FlushAsync(default);
        Assert.Equal((1, 7, 5), await SumAsync(ledger));
    }

    [Fact]
    public async Task Crash_BetweenTheDatabaseAndTheSlot_ChargesNothingTwice()
    {
        StateDatabase state = await OpenStateAsync();
        string crashed = await CrashAsync(state, Guid.Empty, sent: 4);
        string copy = Path.Combine(_folder, "copy");
        CopyFolder(crashed, copy);
        await using (await OpenAsync(state, crashed))
        {
        }

        // The same slots once more, as if the process had died before it could free them.
        await using UsageLedger ledger = await OpenAsync(state, copy);
        Assert.Equal((1, 7, 4), await SumAsync(ledger));
    }

    [Fact]
    public async Task Client_ThatGoesOnElsewhere_IsChargedForWhatItGetsThere()
    {
        await using UsageLedger ledger = await OpenAsync(await OpenStateAsync());
        Receipt receipt = ledger.Begin(Guid.NewGuid(), Guid.NewGuid(), s_tenant, "key", "m", 7)!;
        receipt.Sending(10, 12);
        receipt.Sending(12, 15);
        Assert.Equal((1, 7, 5), await SumAsync(ledger));

        // Whoever then comes for the beginning after all gets it for its price.
        receipt.Sending(0, 1);
        Assert.Equal((1, 7, 15), await SumAsync(ledger));
        receipt.Close(UsageOutcome.Completed);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Answer_TakenOverByAnotherCoordinator_IsChargedOnce(bool deadOneIsEnteredFirst)
    {
        StateDatabase state = await OpenStateAsync();
        (Guid row, Guid retry) = (Guid.NewGuid(), Guid.NewGuid());
        string crashed = await CrashAsync(state, retry, sent: 4, row);
        if (deadOneIsEnteredFirst)
        {
            await (await OpenAsync(state, crashed)).DisposeAsync();
        }

        // The caller has three of the four tokens, and gets the rest here.
        await using UsageLedger other = await OpenAsync(state);
        Receipt receipt = other.Begin(row, retry: Guid.Empty, s_tenant, "key", "m", 7, goesOn: true)!;
        receipt.Sending(3, 6);
        receipt.Sending(6, 9);
        receipt.Close(UsageOutcome.Completed);
        await other.FlushAsync(default);
        if (!deadOneIsEnteredFirst)
        {
            await (await OpenAsync(state, crashed)).DisposeAsync();
        }

        Assert.Equal((1, 7, 9), await SumAsync(other));
    }

    /// <summary>Any number of readers at any places: never more is charged than the answer has, and all that was sent is.</summary>
    [Fact]
    public void Receipt_WithAnyReaders_ChargesEachTokenSentAtLeastOnceAndNoneTwice() => Gen.Select(Gen.Int[1, 5].Array[1, 20], Gen.Int[0, 19].Array[1, 6]).Sample((sizes, starts) =>
    {
        var receipt = new Receipt(null, Guid.NewGuid(), -1, false, 0, 0);
        long[] ends = [.. sizes.Select((_, i) => (long)sizes.Take(i + 1).Sum())];
        var sent = new HashSet<int>();
        foreach (int start in starts)
        {
            for (int i = Math.Min(start, sizes.Length - 1); i < sizes.Length; i++)
            {
                receipt.Sending(i == 0 ? 0 : ends[i - 1], ends[i]);
                sent.Add(i);
            }
        }

        Assert.Equal(sent.Sum(i => (long)sizes[i]), receipt.Charged);
    });

    [Fact]
    public async Task Slots_InUseByAnotherProcess_AreLeftAlone()
    {
        StateDatabase state = await OpenStateAsync();
        await using UsageLedger first = await OpenAsync(state);
        Receipt receipt = first.Begin(Guid.NewGuid(), Guid.Empty, s_tenant, "key", "m", 7)!;
        receipt.Sending(0, 2);
        await using UsageLedger second = await OpenAsync(state);
        Assert.Equal((0, 0, 0), await SumAsync(second));
        receipt.Close(UsageOutcome.Completed);
    }

    /// <summary>One tenant that leaves its answers unread fills its own slots, whatever the rules say, and is told so; the others have theirs.</summary>
    [Trait("Attack", "R1")]
    [Fact]
    public async Task Slots_OfATenantThatReadsNothing_RunOutForItAlone()
    {
        await using UsageLedger ledger = await UsageLedger.OpenAsync(
            Path.Combine(_folder, "usage"), "front", await OpenStateAsync(), TimeProvider.System, NullLogger.Instance, default, tenants: 2, slotsPerTenant: 4);
        var desk = new QuotaDesk(new Dictionary<TenantId, TenantQuotas>(), (_, budget) => new LocalGovernor(budget, TimeProvider.System), TimeProvider.System);
        using var metering = new Metering(desk, ledger, new RunningAnswers(), Metrics.NewCustomRegistry());
        (Caller greedy, Caller other) = (new Caller(s_tenant, "key"), new Caller(new TenantId("globex"), "key"));
        var unread = new List<MeteredAnswer>();
        for (int i = 0; i < 4; i++)
        {
            unread.Add(await AdmitAsync(metering, greedy));
            unread[i].Dispose();
        }

        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => AdmitAsync(metering, greedy));
        Assert.Equal((429, 2), (refused.Error.Status, refused.Error.RetryAfterSeconds));
        for (int i = 0; i < 4; i++)
        {
            using MeteredAnswer served = await AdmitAsync(metering, other);
            served.Receipt.Sending(0, 1);
            served.Receipt.Close(UsageOutcome.Completed);
        }

        // Once one of them is read, there is room for one, and its usage is what was read.
        unread[0].Receipt.Sending(0, 5);
        unread[0].Receipt.Close(UsageOutcome.Completed);
        await ledger.FlushAsync(default);
        (await AdmitAsync(metering, greedy)).Dispose();
        Assert.Equal((1, 7, 5), await SumAsync(ledger));
    }

    /// <summary>A file of another length, of more tenants or cut off in the middle of a slot, keeps what it holds.</summary>
    [Theory]
    [InlineData(3, 0)]
    [InlineData(1, 100)]
    public async Task Slots_OfAFileOfAnotherLength_AreEnteredAndGoOn(int tenants, int moreBytes)
    {
        StateDatabase state = await OpenStateAsync();
        string crashed = await CrashAsync(state, Guid.Empty, sent: 4);
        string file = Assert.Single(Directory.GetFiles(crashed, "*.open"));
        await using (FileStream stream = File.OpenWrite(file))
        {
            stream.SetLength(stream.Length + moreBytes);
        }

        await using UsageLedger ledger = await UsageLedger.OpenAsync(crashed, "front", state, TimeProvider.System, NullLogger.Instance, default, tenants);
        Assert.Equal((1, 7, 4), await SumAsync(ledger));
        Assert.Equal(0, new FileInfo(file).Length % 512);
        Assert.True(new FileInfo(file).Length >= 4096L * 512 * tenants);
        Receipt next = ledger.Begin(Guid.NewGuid(), Guid.Empty, s_tenant, "key", "m", 7)!;
        next.Sending(0, 2);
        Assert.Equal((2, 14, 6), await SumAsync(ledger));
        next.Close(UsageOutcome.Completed);
    }

    private static Task<MeteredAnswer> AdmitAsync(Metering metering, Caller caller) => metering.AdmitAsync(
        caller, new PendingAnswer("gen", true, 0, null, _ => throw new NotSupportedException()) { Meter = new AnswerMeter("m", "sha256:0", new RequestCost(7, 9, 1, 1)) }, Guid.NewGuid(), default);

    /// <summary>By a command that does not ask for the lock under which the files are written.</summary>
    private static void CopyFolder(string from, string to)
    {
        using Process copying = Process.Start("cp", ["-r", from, to]);
        copying.WaitForExit();
        Assert.Equal(0, copying.ExitCode);
    }

    /// <summary>A ledger's folder as a process leaves it that was killed in the midst of a request.</summary>
    private async Task<string> CrashAsync(StateDatabase state, Guid retry, long sent, Guid? row = null, long first = 0)
    {
        string crashed = Path.Combine(_folder, "crashed");
        await using UsageLedger ledger = await OpenAsync(state, Path.Combine(_folder, "alive"));
        Receipt receipt = ledger.Begin(row ?? Guid.NewGuid(), retry, s_tenant, "key", "m", 7)!;
        for (long token = 1; token <= sent; token++)
        {
            receipt.Sending(first + token - 1, first + token);
        }

        CopyFolder(Path.Combine(_folder, "alive"), crashed);
        return crashed;
    }

    private Task<StateDatabase> OpenStateAsync() => StateDatabase.OpenAsync(new StateOptions(_folder), default);

    private Task<UsageLedger> OpenAsync(StateDatabase state, string? folder = null) =>
        UsageLedger.OpenAsync(folder ?? Path.Combine(_folder, "usage"), "front", state, TimeProvider.System, NullLogger.Instance, default);

    private static async Task<(long, long, long)> SumAsync(UsageLedger ledger)
    {
        IReadOnlyList<UsageDayRow> rows = await ledger.ReadAsync(s_tenant, 0, 1_000_000, default);
        return (rows.Sum(row => row.Requests), rows.Sum(row => row.PromptTokens), rows.Sum(row => row.GeneratedTokens));
    }
}

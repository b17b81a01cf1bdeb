using Lamina.Coordinator.State;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Lamina.Coordinator.Quotas;

/// <summary>A metered request that has ended. Kept for some weeks; <see cref="UsageDayRow"/> keeps the sums.</summary>
public sealed class UsageRow
{
    public required string Id { get; init; }
    public required string Tenant { get; init; }
    public required string Key { get; init; }
    public required string Model { get; init; }
    public required long Started { get; init; }
    public required long PromptTokens { get; set; }
    public required long GeneratedTokens { get; set; }

    /// <summary>Tokens of the answer before the first that was charged.</summary>
    public long FirstToken { get; set; }
    public required string Outcome { get; set; }

    /// <summary>By what a repetition of an interrupted request is known; null when it cannot be repeated.</summary>
    public string? Retry { get; init; }

    internal static void Map(EntityTypeBuilder<UsageRow> row)
    {
        row.ToTable("usage").HasKey(usage => usage.Id);
        row.Property(usage => usage.Id).HasColumnName("id");
        row.Property(usage => usage.Tenant).HasColumnName("tenant");
        row.Property(usage => usage.Key).HasColumnName("api_key");
        row.Property(usage => usage.Model).HasColumnName("model");
        row.Property(usage => usage.Started).HasColumnName("started");
        row.Property(usage => usage.PromptTokens).HasColumnName("prompt_tokens");
        row.Property(usage => usage.GeneratedTokens).HasColumnName("generated_tokens");
        row.Property(usage => usage.FirstToken).HasColumnName("first_token");
        row.Property(usage => usage.Outcome).HasColumnName("outcome");
        row.Property(usage => usage.Retry).HasColumnName("retry");
    }
}

/// <summary>What a key used of a model on a day of UTC, by the day on which its requests began.</summary>
public sealed class UsageDayRow
{
    public required string Tenant { get; init; }
    public required string Key { get; init; }
    public required string Model { get; init; }

    /// <summary>Days since 1970.</summary>
    public required long Day { get; init; }
    public long Requests { get; set; }
    public long PromptTokens { get; set; }
    public long GeneratedTokens { get; set; }

    internal static void Map(EntityTypeBuilder<UsageDayRow> row)
    {
        row.ToTable("usage_days").HasKey(day => new { day.Tenant, day.Day, day.Key, day.Model });
        row.Property(day => day.Tenant).HasColumnName("tenant");
        row.Property(day => day.Key).HasColumnName("api_key");
        row.Property(day => day.Model).HasColumnName("model");
        row.Property(day => day.Day).HasColumnName("day");
        row.Property(day => day.Requests).HasColumnName("requests");
        row.Property(day => day.PromptTokens).HasColumnName("prompt_tokens");
        row.Property(day => day.GeneratedTokens).HasColumnName("generated_tokens");
    }
}

/// <summary>Usage in the database. A request is entered by its id with what it came to in all, so entering it twice changes nothing.</summary>
internal sealed class UsageStore(StateDatabase state)
{
    private const long KeptMilliseconds = 35L * 86_400_000;
    private const long RepeatableMilliseconds = 86_400_000;

    public Task SettleAsync(IReadOnlyList<SlotContent> ended, CancellationToken cancellation) => state.ChangeAsync(
        async context =>
        {
            foreach (SlotContent request in ended)
            {
                await SettleAsync(context, request, cancellation);
            }

            return true;
        },
        cancellation);

    /// <summary>Requests of the last day that may be repeated, newest first.</summary>
    public Task<UsageRow[]> RepeatableAsync(long now, int most, CancellationToken cancellation) => state.RunAsync(
        context => context.Usage.AsNoTracking()
            .Where(row => row.Retry != null && row.Started > now - RepeatableMilliseconds).OrderByDescending(row => row.Started).Take(most).ToArrayAsync(cancellation),
        cancellation);

    public static UsageRow RowOf(SlotContent request) => new()
    {
        Id = request.Id.ToString("n"), Tenant = request.Tenant, Key = request.Key, Model = request.Model, Started = request.Started, PromptTokens = request.PromptTokens,
        FirstToken = request.First, GeneratedTokens = request.Generated, Outcome = (request.Outcome ?? UsageOutcome.Interrupted).ToString(),
        Retry = request.Retry == Guid.Empty ? null : request.Retry.ToString("n"),
    };

    /// <summary>A tenant's days, both ends included.</summary>
    public Task<UsageDayRow[]> DaysAsync(string tenant, long firstDay, long lastDay, CancellationToken cancellation) => state.RunAsync(
        context => context.UsageDays.AsNoTracking().Where(row => row.Tenant == tenant && row.Day >= firstDay && row.Day <= lastDay)
            .OrderBy(row => row.Day).ThenBy(row => row.Key).ThenBy(row => row.Model).ToArrayAsync(cancellation),
        cancellation);

    /// <summary>Single requests older than five weeks; the sums stay.</summary>
    public Task<int> ForgetOldAsync(long now, CancellationToken cancellation) =>
        state.RunAsync(context => context.Usage.Where(row => row.Started < now - KeptMilliseconds).ExecuteDeleteAsync(cancellation), cancellation);

    private static async Task SettleAsync(StateContext context, SlotContent request, CancellationToken cancellation)
    {
        string id = request.Id.ToString("n");
        UsageRow? row = await context.Usage.FindAsync([id], cancellation);
        long promptBefore = row?.PromptTokens ?? 0;
        long generatedBefore = row?.GeneratedTokens ?? 0;
        bool isNew = row is null;
        if (row is null)
        {
            row = RowOf(request);
            context.Usage.Add(row);
        }

        row.PromptTokens = Math.Max(promptBefore, request.PromptTokens);
        row.FirstToken = request.Generated >= generatedBefore ? request.First : row.FirstToken;
        row.GeneratedTokens = Math.Max(generatedBefore, request.Generated);

        // Where another coordinator went on with the answer, how that ended counts, whichever of them is entered first.
        row.Outcome = row.Outcome.Length > 0 && request.Outcome is null ? row.Outcome : (request.Outcome ?? UsageOutcome.Interrupted).ToString();
        long day = DayBudget.DayOf(row.Started);
        UsageDayRow? sums = await context.UsageDays.FindAsync([row.Tenant, day, row.Key, row.Model], cancellation);
        if (sums is null)
        {
            sums = new UsageDayRow { Tenant = row.Tenant, Key = row.Key, Model = row.Model, Day = day };
            context.UsageDays.Add(sums);
        }

        sums.Requests += isNew ? 1 : 0;
        sums.PromptTokens += row.PromptTokens - promptBefore;
        sums.GeneratedTokens += row.GeneratedTokens - generatedBefore;
    }
}

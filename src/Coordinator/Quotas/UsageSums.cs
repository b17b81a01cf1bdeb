namespace Lamina.Coordinator.Quotas;

/// <summary>Adds what runs to what is entered.</summary>
internal static class UsageSums
{
    /// <param name="open">Requests of the tenant that are not entered yet.</param>
    /// <param name="entered">What is entered of a request that goes on after a crash; null for others.</param>
    public static IReadOnlyList<UsageDayRow> Of(IReadOnlyList<UsageDayRow> rows, IReadOnlyList<SlotContent> open, Func<Guid, UsageRow?> entered, long firstDay, long lastDay)
    {
        var sums = rows.ToDictionary(row => (row.Day, row.Key, row.Model));
        foreach (SlotContent request in open)
        {
            long day = DayBudget.DayOf(request.Started);
            if (day < firstDay || day > lastDay)
            {
                continue;
            }

            (long, string, string) place = (day, request.Key, request.Model);
            if (!sums.TryGetValue(place, out UsageDayRow? sum))
            {
                sum = new UsageDayRow { Tenant = request.Tenant, Key = request.Key, Model = request.Model, Day = day };
                sums.Add(place, sum);
            }

            UsageRow? before = entered(request.Id);
            sum.Requests += before is null ? 1 : 0;
            sum.PromptTokens += Math.Max(0, request.PromptTokens - (before?.PromptTokens ?? 0));
            sum.GeneratedTokens += Math.Max(0, request.Generated - (before?.GeneratedTokens ?? 0));
        }

        return [.. sums.Values.OrderBy(row => row.Day).ThenBy(row => row.Key, StringComparer.Ordinal).ThenBy(row => row.Model, StringComparer.Ordinal)];
    }
}

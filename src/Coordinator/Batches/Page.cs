using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Batches;

/// <summary>Part of a list, as <c>limit</c>, <c>after</c> and <c>order</c> of its query say.</summary>
internal sealed record Page<T>(IReadOnlyList<T> Items, string? FirstId, string? LastId, bool HasMore);

internal static class Page
{
    /// <param name="items">Newest first.</param>
    public static Page<T> Of<T>(IEnumerable<T> items, Func<T, string> id, string? after, int limit, bool newestFirst)
    {
        List<T> ordered = [.. newestFirst ? items : items.Reverse()];
        int start = 0;
        if (after is not null)
        {
            start = ordered.FindIndex(item => id(item) == after) + 1;
            if (start == 0)
            {
                throw BatchErrors.Invalid("after", "'after' names nothing in this list");
            }
        }

        List<T> page = ordered[start..Math.Min(ordered.Count, start + limit)];
        return new Page<T>(page, page.Count == 0 ? null : id(page[0]), page.Count == 0 ? null : id(page[^1]), start + page.Count < ordered.Count);
    }

    /// <summary>Refuses parameters that nobody reads.</summary>
    public static void Require(IQueryCollection query, params ReadOnlySpan<string> known)
    {
        foreach (string name in query.Keys)
        {
            if (!known.Contains(name))
            {
                throw Api.ApiError.Unknown(name.Length <= 64 ? name : name[..64]).AsException();
            }
        }
    }

    public static int Limit(IQueryCollection query, int standard, int most) =>
        !query.TryGetValue("limit", out var text) ? standard
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int limit) && limit >= 1 && limit <= most ? limit
        : throw BatchErrors.Invalid("limit", $"'limit' must be an integer from 1 to {most}");
}

using System.Globalization;
using Lamina.Coordinator.State;
using Microsoft.EntityFrameworkCore;

namespace Lamina.Coordinator.Access;

/// <summary>A change of tenants or keys that cannot be; the message is one sentence for whoever asked for it.</summary>
public sealed class AccessChangeException(string message) : InvalidOperationException(message)
{
    /// <summary>True when what should be changed does not exist.</summary>
    public bool IsNotFound { get; init; }
}

/// <summary>Every change of tenants and keys counts the version up in its own transaction, by which coordinators notice it.</summary>
internal static class AccessChange
{
    public static Task<T> RunAsync<T>(StateDatabase state, Func<StateContext, Task<T>> change, CancellationToken cancellation) => state.ChangeAsync(
        async context =>
        {
            T result = await change(context);
            await CountUpAsync(context, cancellation);
            return result;
        },
        cancellation);

    /// <summary>For changes of more than tenants and keys.</summary>
    public static async Task CountUpAsync(StateContext context, CancellationToken cancellation)
    {
        FactRow version = await context.Facts.SingleAsync(fact => fact.Name == FactRow.AccessVersion, cancellation);
        version.Value = (long.Parse(version.Value, CultureInfo.InvariantCulture) + 1).ToString(CultureInfo.InvariantCulture);
    }
}

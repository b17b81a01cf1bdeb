using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api.Responses;

/// <summary>A connection was cut because its reader took nothing for too long.</summary>
internal sealed class StalledReaderException() : OperationCanceledException("the reader took nothing for too long");

/// <summary>
/// Cuts a connection whose reader takes nothing for too long. Kestrel's own floor is an average over all that was ever sent: by it, a reader that stops after a megabyte would keep its
/// connection for an hour.
/// </summary>
internal static class StalledReader
{
    /// <summary>Where no stream's options say otherwise.</summary>
    public static readonly TimeSpan DefaultLimit = TimeSpan.FromSeconds(new StreamOptions().StallSeconds);

    /// <summary>Waits for a write. Throws <see cref="StalledReaderException"/> when the reader stalled, after the connection was cut.</summary>
    /// <param name="limit">In which the connection must have taken what is written: a few tens of kilobytes at most.</param>
    public static Task CutAfterAsync(this Task writing, HttpContext context, TimeSpan limit) => writing.IsCompleted ? writing : WaitAsync(writing, context, limit);

    private static async Task WaitAsync(Task writing, HttpContext context, TimeSpan limit)
    {
        try
        {
            await writing.WaitAsync(limit);
        }
        catch (TimeoutException) when (!writing.IsCompleted)
        {
            context.Abort();
            try
            {
                // Its buffers are the caller's: it must be over before they are used again.
                await writing;
            }
            catch (Exception e) when (e is OperationCanceledException or IOException)
            {
                // The connection is gone.
            }

            throw new StalledReaderException();
        }
    }
}

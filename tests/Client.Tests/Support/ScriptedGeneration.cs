using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace Lamina.Client.Tests.Support;

/// <summary>A server that keeps one numbered generation, and cuts connections after as many events as it is told.</summary>
internal sealed class ScriptedGeneration(IReadOnlyList<string> events, Func<int, int?> cutAfter)
{
    private int _connections;

    public int Connections => _connections;

    /// <summary>Highest number of an event that was handed to a connection.</summary>
    public int Written { get; private set; }

    public async Task AnswerAsync(HttpContext context, SeenRequest request)
    {
        if (request.Method == "DELETE")
        {
            context.Response.StatusCode = 204;
            return;
        }

        int? cut = cutAfter(Interlocked.Increment(ref _connections));
        context.Response.Headers["X-Lamina-Generation"] = "gen-1";
        int after = request.LastEventId is { } last ? int.Parse(last, CultureInfo.InvariantCulture) : 0;
        for (int number = after + 1; number <= events.Count; number++)
        {
            if (cut-- == 0)
            {
                // An abort would also take back what the client has not read yet, and how much that is would be chance.
                if (!context.Response.HasStarted)
                {
                    context.Abort();
                }

                return;
            }

            await ScriptedServer.EventAsync(context, number, events[number - 1]);
            Written = Math.Max(Written, number);
        }

        await ScriptedServer.EventAsync(context, null, "[DONE]");
    }
}

using System.CommandLine;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina health</c>: asks a health URL, for images that hold no shell and no other HTTP client.</summary>
internal static class HealthCommand
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(5);

    public static Command Create()
    {
        Argument<string> url = new("URL") { Description = "Such as http://127.0.0.1:9090/health/ready." };
        Command command = new("health", "Ask a process' health URL: exits 0 when it answers with success.") { url };
        command.SetAction(async (parsed, cancellation) =>
        {
            if (!Uri.TryCreate(parsed.GetValue(url), UriKind.Absolute, out Uri? address) || address.Scheme != Uri.UriSchemeHttp)
            {
                throw new UsageException($"'{parsed.GetValue(url)}' is not an http URL");
            }

            using HttpClient http = new() { Timeout = s_deadline };
            try
            {
                using HttpResponseMessage response = await http.GetAsync(address, cancellation);
                return response.IsSuccessStatusCode ? 0 : throw new CommandException($"{address} answered {(int)response.StatusCode}");
            }
            catch (Exception exception) when (exception is HttpRequestException || (exception is TaskCanceledException && !cancellation.IsCancellationRequested))
            {
                throw new CommandException($"{address} does not answer: {exception.Message}");
            }
        });
        return command;
    }
}

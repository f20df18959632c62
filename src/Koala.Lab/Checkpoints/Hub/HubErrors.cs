using System.Net;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>
/// Converts error responses to exceptions. The hub's header <c>X-Error-Code</c> says more about the error than the status does.
/// </summary>
internal static class HubErrors
{
    /// <param name="response">The error response.</param>
    /// <param name="what">What was requested.</param>
    /// <param name="settings">The settings of the request.</param>
    /// <param name="isFromHub">Whether the hub itself sent the response, not a host to which the hub had redirected.</param>
    /// <returns>A <see cref="TransientHubException"/> if another attempt may succeed, otherwise a <see cref="KoalaException"/>.</returns>
    public static Exception Fault(HttpResponseMessage response, HubName what, HubSettings settings, bool isFromHub)
    {
        var status = (int)response.StatusCode;
        var host = response.RequestMessage!.RequestUri!.Host;
        if (status is 408 or 429 or >= 500) return new TransientHubException($"{host} answers {Describe(response)}", RetryAfter(response));
        if (!isFromHub) return Elsewhere(response);
        return (status, CodeOf(response)) switch
        {
            (401 or 403, "GatedRepo") => new KoalaException(what.Repo,
                settings.Token is null ? "is gated, and no token is set" : "is gated, and this token has no access",
                $"ask for access at {settings.Endpoint}/{what.Repo}, then set HF_TOKEN to a token of that account"),
            (401, _) when settings.Token is null => new KoalaException(what.Repo,
                "does not exist on the hub, or is private", "check the name; for a private repository set HF_TOKEN"),
            (401, _) => new KoalaException(what.Repo,
                "the hub does not accept the token", "check HF_TOKEN and the token's file, or unset them"),
            (403, _) => new KoalaException(what.Repo, "the hub refuses access", "use a token that may read this repository (HF_TOKEN)"),
            (404, "RevisionNotFound") => new KoalaException(what.Repo,
                $"has no revision {MessageText.Text(what.Revision)}", $"check {new OptionName(nameof(what.Revision))}"),
            (404, "EntryNotFound") => new KoalaException(what.Repo,
                $"has no file {MessageText.Text(what.File ?? "with this name")} at revision {MessageText.Text(what.Revision)}",
                "check the name"),
            (404, _) => new KoalaException(what.Repo,
                $"does not exist on {settings.Endpoint}", "check the name; for a private repository set HF_TOKEN"),
            _ => new KoalaException(what.ToString(), $"{host} answers {Describe(response)}", "check the name and HF_ENDPOINT"),
        };
    }

    /// <summary>Whether the hub says that it has no such repository or no such revision.</summary>
    public static bool IsMissing(HttpResponseMessage response) =>
        response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.Unauthorized
        && CodeOf(response) is "RepoNotFound" or "RevisionNotFound";

    /// <param name="response">The error response to a request that sends something.</param>
    /// <param name="what">What was sent.</param>
    /// <param name="reason">The hub's own words; null if there are none.</param>
    /// <param name="isFromHub">Whether the hub itself sent the response, not a host to which it had the file sent.</param>
    /// <returns>A <see cref="TransientHubException"/> if another attempt may succeed, otherwise a <see cref="KoalaException"/>.</returns>
    public static Exception WriteFault(HttpResponseMessage response, HubName what, string? reason, bool isFromHub)
    {
        var status = (int)response.StatusCode;
        var host = response.RequestMessage!.RequestUri!.Host;
        var words = reason is null ? "" : $": {MessageText.Text(reason)}";
        if (status is 408 or 429 or >= 500) return new TransientHubException($"{host} answers {Describe(response)}", RetryAfter(response));
        if (!isFromHub) return Elsewhere(response);
        return status switch
        {
            401 => new KoalaException(what.Repo, "the hub does not accept the token",
                "set HF_TOKEN to a token that may write to this repository"),
            403 => new KoalaException(what.Repo, $"the hub does not let this token write here{words}",
                "set HF_TOKEN to a token that may write to this repository"),
            409 or 412 => new KoalaException(what.Repo, $"was changed by somebody else at the same time{words}", "push again"),
            _ => new KoalaException(what.ToString(), $"the hub answers {Describe(response)}{words}",
                "correct what it names, or check HF_ENDPOINT"),
        };
    }

    private static string CodeOf(HttpResponseMessage response) =>
        response.Headers.TryGetValues("X-Error-Code", out var values) ? values.First() : "";

    // Addresses on other hosts are signed for a limited time; the hub gives a new one at the next attempt.
    private static TransientHubException Elsewhere(HttpResponseMessage response) =>
        new($"{response.RequestMessage!.RequestUri!.Host}, to which the hub refers, answers {Describe(response)}");

    private static string Describe(HttpResponseMessage response) =>
        $"{(int)response.StatusCode} {MessageText.Text(response.ReasonPhrase ?? "")}".TrimEnd();

    private static TimeSpan? RetryAfter(HttpResponseMessage response) => response.Headers.RetryAfter switch
    {
        { Delta: { } seconds } => seconds,
        { Date: { } date } => date - TimeProvider.System.GetUtcNow() is { Ticks: > 0 } rest ? rest : TimeSpan.Zero,
        _ => null,
    };
}

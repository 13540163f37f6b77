# Expected numbers by R's survival package. Usage: Rscript survival.R INPUT_DIR OUTPUT_DIR
# (called by make.py, which prepares INPUT_DIR). Only sums and estimates are written.
suppressPackageStartupMessages(library(survival))
options(warn = 1, stringsAsFactors = FALSE)
invisible(Sys.setlocale("LC_COLLATE", "C"))
arguments <- commandArgs(trailingOnly = TRUE)
input <- arguments[1]
output <- arguments[2]

read <- function(dataset, unit) {
  d <- read.delim(file.path(input, paste0(dataset, "_", unit, ".tsv")), na.strings = "NA",
                  colClasses = "character")
  text <- c("histology", "grade", "tgrade", "centre", "site", "inst")
  for (v in setdiff(names(d), text)) d[[v]] <- as.numeric(d[[v]])
  d
}
grid <- function(time, width) ceiling(time / width) * width
versions <- paste0("R ", getRversion(), ", survival ", packageDescription("survival")$Version)
exact <- function(x) {
  if (!is.numeric(x)) return(as.character(x))
  ifelse(is.na(x), "NA", sprintf("%.17g", x))
}
write_table <- function(name, rows, call) {
  table <- do.call(rbind, rows)
  lines <- do.call(paste, c(lapply(table, exact), sep = "\t"))
  writeLines(c(paste0("# ", versions, "; ", call), paste(names(table), collapse = "\t"), lines),
             file.path(output, name))
}

# --- Kaplan-Meier and restricted mean ---------------------------------------------------------
# `by` NULL: everybody. Width 1: up to 40 of the event times, evenly by rank; width 30: every
# grid time from 0 to 1800, then every sixth. A row is survfit's at that grid time.
curve <- function(d, by, width) {
  d$g <- if (is.null(by)) "all" else d[[by]]
  d <- d[complete.cases(d[c("time", "event", "g")]), ]
  d$time <- grid(d$time, width)
  lapply(sort(unique(d$g)), function(g) {
    part <- d[d$g == g, ]
    log_fit <- survfit(Surv(time, event) ~ 1, part, conf.type = "log")
    list(group = g, n = nrow(part), events = sum(part$event), log = log_fit,
         loglog = survfit(Surv(time, event) ~ 1, part, conf.type = "log-log"))
  })
}
query_times <- function(fit, width) {
  if (width > 1) {
    at <- seq(0, max(fit$time), by = width)
    return(at[at <= 1800 | at %% (6 * width) == 0])
  }
  at <- fit$time[fit$n.event > 0]
  at[unique(round(seq(1, length(at), length.out = min(40, length(at)))))]
}
km_rows <- function(unit, d, by, width) {
  do.call(rbind, lapply(curve(d, by, width), function(part) {
    times <- query_times(part$log, width)
    a <- summary(part$log, times = times, extend = TRUE)
    b <- summary(part$loglog, times = times, extend = TRUE)
    # summary() adds the counts up since the last query time; survfit's own counts are wanted.
    row <- match(times, part$log$time)
    count <- function(v) ifelse(is.na(row), 0, v[row])
    data.frame(unit = unit, by = if (is.null(by)) "none" else by, group = part$group,
               width = width, time = times, n_risk = a$n.risk,
               n_event = count(part$log$n.event), n_censor = count(part$log$n.censor),
               survival = a$surv, std_err = a$std.err, log_low = a$lower, log_high = a$upper,
               loglog_low = b$lower, loglog_high = b$upper)
  }))
}
rmst_rows <- function(dataset, unit, d, by, width) {
  horizons <- if (width > 1) c(360, 1080, 1800, 365 * c(1, 3, 5, 10)) else 365 * c(1, 3, 5, 10)
  do.call(rbind, lapply(curve(d, by, width), function(part) {
    do.call(rbind, lapply(sort(horizons[horizons <= max(part$log$time)]), function(h) {
      s <- summary(part$log, rmean = h)$table
      data.frame(dataset = dataset, unit = unit, by = if (is.null(by)) "none" else by,
                 group = part$group, width = width, horizon = h, n = part$n,
                 n_event = part$events, rmst = s[["rmean"]], se = s[["se(rmean)"]])
    }))
  }))
}

# --- log-rank ---------------------------------------------------------------------------------
survival_formula <- function(terms, strata) {
  if (length(strata)) terms <- c(terms, paste0("strata(", paste(strata, collapse = ", "), ")"))
  as.formula(paste("Surv(time, event) ~", paste(terms, collapse = " + ")))
}
logrank <- function(d, group, strata) {
  d <- d[complete.cases(d[c("time", "event", group, strata)]), ]
  fit <- survdiff(survival_formula(group, strata), d)
  list(fit = fit, d = d, n_strata = if (length(strata)) nrow(unique(d[strata])) else 1,
       df = sum(rowSums(as.matrix(fit$exp)) > 0) - 1)
}
strata_name <- function(strata) if (length(strata)) paste(strata, collapse = "+") else "none"
logrank_rows <- function(dataset, unit, d, group, strata) {
  x <- logrank(d, group, strata)
  data.frame(dataset = dataset, unit = unit, contrast = group, strata = strata_name(strata),
             n_strata = x$n_strata, group = sort(unique(x$d[[group]])),
             n = as.vector(table(x$d[[group]])), observed = rowSums(as.matrix(x$fit$obs)),
             expected = rowSums(as.matrix(x$fit$exp)), variance = diag(x$fit$var),
             chisq = x$fit$chisq, df = x$df,
             p_value = pchisq(x$fit$chisq, x$df, lower.tail = FALSE), row.names = NULL)
}
gridded_rows <- function(dataset, unit, d, group, strata) {
  base <- logrank(d, group, strata)$fit$chisq
  do.call(rbind, lapply(c(1, 7, 30, 91), function(width) {
    d$time <- grid(d$time, width)
    x <- logrank(d, group, strata)
    data.frame(dataset = dataset, unit = unit, contrast = group, strata = strata_name(strata),
               width = width, chisq = x$fit$chisq, df = x$df,
               relative_difference = x$fit$chisq / base - 1)
  }))
}

# --- Cox --------------------------------------------------------------------------------------
cox <- function(dataset, unit, d, covariates, strata, ties) {
  fit <- coxph(survival_formula(covariates, strata), d, ties = ties,
               control = coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 100))
  key <- data.frame(dataset = dataset, unit = unit, model = paste(covariates, collapse = "+"),
                    strata = strata_name(strata), ties = ties)
  se <- sqrt(diag(vcov(fit)))
  pairs <- fit$concordance
  list(terms = data.frame(key, term = names(coef(fit)), coef = coef(fit), se = se,
                          p_value = 2 * pnorm(-abs(coef(fit) / se)), row.names = NULL),
       fit = data.frame(key, n = fit$n, n_event = fit$nevent, loglik_null = fit$loglik[1],
                        loglik = fit$loglik[2], score = fit$score,
                        concordance = pairs[["concordance"]], concordance_se = pairs[["std"]],
                        concordant = pairs[["concordant"]], discordant = pairs[["discordant"]],
                        tied_risk = pairs[["tied.x"]], tied_time = pairs[["tied.y"]],
                        tied_both = pairs[["tied.xy"]]))
}

# --- logistic ---------------------------------------------------------------------------------
logistic <- function(dataset, unit, d, outcome, covariates, centre) {
  d <- d[complete.cases(d[c(outcome, covariates, centre)]), ]
  d$y <- d[[outcome]]
  d$c <- factor(d[[centre]])
  control <- glm.control(epsilon = 1e-14, maxit = 50)
  formula <- as.formula(paste("y ~", paste(covariates, collapse = " + "), "+ c"))
  # A centre where all or none have the outcome drives its own dummy to infinity and makes glm
  # warn; the terms kept here converge. n_separated counts those centres.
  quiet <- suppressWarnings
  fit <- quiet(glm(formula, binomial, d, control = control))
  # glm's standard errors use the weights of the iteration before the last (here up to 1e-7 off);
  # one more iteration from the solution brings them to the solution.
  fit <- quiet(glm(formula, binomial, d, control = control, start = coef(fit)))
  stopifnot(fit$converged)
  null <- quiet(glm(y ~ c, binomial, d, control = control))
  share <- tapply(d$y, d$c, mean)
  kept <- !names(coef(fit)) %in% c("(Intercept)", paste0("c", levels(d$c)))
  s <- summary(fit)$coefficients[kept, , drop = FALSE]
  key <- data.frame(dataset = dataset, unit = unit, outcome = outcome,
                    model = paste(covariates, collapse = "+"), centre = centre)
  list(terms = data.frame(key, term = rownames(s), coef = s[, 1], se = s[, 2], p_value = s[, 4],
                          row.names = NULL),
       fit = data.frame(key, n = nrow(d), n_event = sum(d$y), n_centres = nlevels(d$c),
                        n_separated = sum(share == 0 | share == 1),
                        loglik_centres = as.numeric(logLik(null)),
                        loglik = as.numeric(logLik(fit))))
}

# --- what is asked ----------------------------------------------------------------------------
data <- list()
for (name in c("kirc", "lgg")) for (unit in c("individuals", "samples"))
  data[[paste(name, unit)]] <- read(name, unit)
for (name in c("laml", "lung", "gbsg2"))
  data[[paste(name, "individuals")]] <- read(name, "individuals")
people <- function(name) data[[paste(name, "individuals")]]

curves <- list(laml = list(NULL, "dnmt3a"), kirc = list(NULL, "male"), lgg = list(NULL, "male"),
               lung = list("female"), gbsg2 = list("hormone"))
rmst <- list()
for (name in names(curves)) {
  rows <- list()
  for (by in curves[[name]]) for (width in c(1, 30)) {
    rows <- c(rows, list(km_rows("individuals", people(name), by, width)))
    rmst <- c(rmst, list(rmst_rows(name, "individuals", people(name), by, width)))
  }
  if (name %in% c("kirc", "lgg"))
    rows <- c(rows, list(km_rows("samples", data[[paste(name, "samples")]], NULL, 1)))
  write_table(paste0("km_", name, ".tsv"), rows,
              "survfit(Surv(ceiling(time / width) * width, event) ~ 1) in each group")
}
write_table("rmst.tsv", rmst, paste0("summary(survfit(Surv(ceiling(time / width) * width, event)",
                                     " ~ 1), rmean = horizon)$table"))

none <- character(0)
rows <- list()
ask <- function(name, groups, stratas, units = "individuals")
  for (unit in units) for (group in groups) for (strata in stratas)
    rows <<- c(rows, list(logrank_rows(name, unit, data[[paste(name, unit)]], group, strata)))
units <- c("individuals", "samples")
nested <- list(none, "centre", c("centre", "site"))
ask("laml", "dnmt3a", list(none, "centre"))
ask("kirc", "male", nested)
ask("lgg", c("idh1", "male", "histology", "grade"), nested)
ask("lgg", "idh1", nested, "samples")
ask("lung", "female", list(none, "centre", "inst"))
ask("gbsg2", c("hormone", "tgrade"), list(none, "centre"))
write_table("logrank.tsv", rows, "survdiff(Surv(time, event) ~ contrast + strata(strata))")

rows <- list()
for (unit in units) for (group in c("idh1", "male")) for (strata in list(none, "centre"))
  rows <- c(rows, list(gridded_rows("lgg", unit, data[[paste("lgg", unit)]], group, strata)))
write_table("logrank_grid.tsv", rows,
            "survdiff(Surv(ceiling(time / width) * width, event) ~ contrast + strata(strata))")

fits <- list()
ask <- function(name, covariates, stratas, units = "individuals")
  for (unit in units) for (strata in stratas) for (ties in c("efron", "breslow"))
    fits <<- c(fits, list(cox(name, unit, data[[paste(name, unit)]], covariates, strata, ties)))
ask("kirc", c("age", "male"), nested, units)
ask("lgg", c("age", "male"), nested, units)
ask("lgg", c("idh1", "age", "male"), list("centre", c("centre", "site")))
ask("laml", "dnmt3a", list(none, "centre"))
ask("lung", c("age", "female", "ecog"), list(none, "centre", "inst"))
clinical <- c("hormone", "age", "tsize", "pnodes", "progrec")
ask("gbsg2", clinical, list(none, "centre"))
ask("gbsg2", c(clinical, "tgrade"), list(none, "centre"))
write_table("cox_terms.tsv", lapply(fits, `[[`, "terms"),
            "coxph(Surv(time, event) ~ model + strata(strata), ties = ties)")
write_table("cox_fit.tsv", lapply(fits, `[[`, "fit"),
            "coxph(Surv(time, event) ~ model + strata(strata), ties = ties)")

fits <- list(
  logistic("lgg", "individuals", people("lgg"), "idh1", c("age", "male"), "centre"),
  logistic("gbsg2", "individuals", people("gbsg2"), "event", c("hormone", "age", "pnodes"),
           "centre"),
  logistic("gbsg2", "individuals", people("gbsg2"), "event", c("hormone", "tgrade"), "centre"),
  logistic("lung", "individuals", people("lung"), "event", c("age", "female", "ecog"), "centre"),
  logistic("lung", "individuals", people("lung"), "event", c("age", "female", "ecog"), "inst"))
write_table("logistic_terms.tsv", lapply(fits, `[[`, "terms"),
      "glm(outcome ~ model + centre, binomial), terms of the model only")
write_table("logistic_fit.tsv", lapply(fits, `[[`, "fit"),
            "glm(outcome ~ model + centre, binomial)")
